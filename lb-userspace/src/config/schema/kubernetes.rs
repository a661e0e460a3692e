//! Clusters that are watched, and what of them is served.

use super::{Entries, Located, Mode};
use schemars::JsonSchema;
use serde::Deserialize;

/// Clusters that are watched, and what of them is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Kubernetes {
    /// The clusters; where two disagree, the first wins. Default: the one that this runs in, named
    /// `local`.
    pub(in crate::config) clusters: Option<Located<Vec<Cluster>>>,
    /// Services whose `loadBalancerClass` is this are served. Default `lb.internal/lb`.
    pub(in crate::config) load_balancer_class: Option<Located<String>>,
    /// Services without a `loadBalancerClass` are served too. Default true.
    pub(in crate::config) unclassed_services: Option<bool>,
    /// Ingress classes that are served although their controller is another.
    pub(in crate::config) ingress_classes: Option<Vec<Located<String>>>,
    /// Ingresses without a class are served too. Default false.
    pub(in crate::config) unclassed_ingresses: Option<bool>,
    /// How packets reach pods, as in a service of the file. Default auto.
    pub(in crate::config) mode: Option<Mode>,
    /// Addresses that Services and Gateways may get, beside those of `AddressPool` objects.
    pub(in crate::config) pools: Option<Vec<Pool>>,
    /// What Ingresses are served at. Default: any address of a pool, one for each class.
    pub(in crate::config) ingress_address: Option<Located<IngressAddress>>,
    /// Host names outside of the clusters that `ExternalName` Services, slices of type FQDN and
    /// `XBackend`s may have: `shop.example`, `*.example` or `*`. Default none.
    pub(in crate::config) external_names: Option<Vec<Located<String>>>,
    /// Hosts and paths made from namespaces and services.
    pub(in crate::config) discovery: Option<Discovery>,
    /// A whole configuration in a ConfigMap of the first cluster, beside this file.
    pub(in crate::config) config_map: Option<ConfigMap>,
    /// Status, Events and Leases are written. Default true.
    pub(in crate::config) status: Option<bool>,
    /// Namespace of the Lease that elects who writes. Default `lb-system`.
    pub(in crate::config) lease_namespace: Option<Located<String>>,
    /// Zone of this router, for Services that prefer near endpoints. Default unknown.
    pub(in crate::config) zone: Option<Located<String>>,
    /// Name of the node that this runs on, for Services that want local endpoints. Default: a
    /// router that is no node.
    pub(in crate::config) node: Option<Located<String>>,
}

/// A cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cluster {
    /// Name, unique in the file.
    pub(in crate::config) name: Located<String>,
    /// A kubeconfig file. Default: the service account of the pod that this runs in.
    pub(in crate::config) kubeconfig: Option<Located<String>>,
    /// Context of the kubeconfig. Default its current one.
    pub(in crate::config) context: Option<Located<String>>,
    /// Only objects of these namespaces are watched. Default all.
    pub(in crate::config) namespaces: Option<Vec<Located<String>>>,
    /// Weight of each endpoint of this cluster where several have the same Service. Default 100.
    #[schemars(range(min = 0, max = 1_000))]
    pub(in crate::config) weight: Option<Located<i64>>,
}

/// Addresses that Services and Gateways may get.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    /// Name, unique among pools.
    pub(in crate::config) name: Located<String>,
    /// `192.0.2.0/24`, `192.0.2.10-192.0.2.20` or `2001:db8::1` each.
    #[schemars(length(min = 1))]
    pub(in crate::config) addresses: Located<Vec<Located<String>>>,
    /// Also for who asks for no pool. Default true.
    pub(in crate::config) auto_assign: Option<bool>,
    /// The addresses are this host's own: connections are accepted there instead of being steered.
    /// Default false.
    pub(in crate::config) bind: Option<bool>,
    /// Only for objects of namespaces with these labels. Default all.
    pub(in crate::config) namespace_labels: Option<Entries<Located<String>>>,
    /// Only for objects with these labels. Default all.
    pub(in crate::config) object_labels: Option<Entries<Located<String>>>,
}

/// What Ingresses are served at. Either of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IngressAddress {
    /// An address of this pool.
    pub(in crate::config) pool: Option<Located<String>>,
    /// These addresses, which are in a pool.
    pub(in crate::config) addresses: Option<Vec<Located<String>>>,
}

/// Hosts and paths made from namespaces and services.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Discovery {
    /// Only namespaces with these labels. Default all.
    pub(in crate::config) namespace_labels: Option<Entries<Located<String>>>,
    /// Only Services with these labels. Default all.
    pub(in crate::config) service_labels: Option<Entries<Located<String>>>,
    /// Namespaces older than this are left out. Default: none are, but those whose annotation
    /// `lb.internal/expires` says so.
    pub(in crate::config) lifetime: Option<Located<String>>,
    /// What is made of a namespace and a Service.
    #[schemars(length(min = 1))]
    pub(in crate::config) rules: Located<Vec<DiscoveryRule>>,
}

/// A host and path made from a namespace and a Service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct DiscoveryRule {
    /// Listeners of this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) listeners: Vec<Located<String>>,
    /// Only for this namespace. Default all that are chosen.
    pub(in crate::config) namespace: Option<Located<String>>,
    /// Host; `{namespace}` and `{service}` are filled in.
    pub(in crate::config) host: Located<String>,
    /// Path prefix, filled in too. Default `/`.
    pub(in crate::config) path: Option<Located<String>>,
    /// A route of this file, whose first rule's filters, timeouts and retries hold.
    pub(in crate::config) template: Option<Located<String>>,
    /// An upstream of this file, whose way to speak to endpoints holds.
    pub(in crate::config) upstream_template: Option<Located<String>>,
    /// Port of the Service, by name or number. Default its first.
    pub(in crate::config) port: Option<Located<String>>,
}

/// Where a ConfigMap has a configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ConfigMap {
    /// Its namespace.
    pub(in crate::config) namespace: Located<String>,
    /// Its name.
    pub(in crate::config) name: Located<String>,
    /// Key of its data. Default `lb.yaml`.
    pub(in crate::config) key: Option<Located<String>>,
}
