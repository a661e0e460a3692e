//! What the operator says about clusters: lowered from the section `kubernetes` of the file.

use crate::{AddressRange, ObjectKey};
use lb_model::{Certificate, ForwardingMode, HostPattern, Table};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

/// Name of the controller in Gateway classes that are ours.
pub const GATEWAY_CONTROLLER: &str = "lb.internal/gateway-controller";

/// Name of the controller in Ingress classes that are ours.
pub const INGRESS_CONTROLLER: &str = "lb.internal/ingress-controller";

/// `loadBalancerClass` of Services that are ours, unless the operator says otherwise.
pub const LOAD_BALANCER_CLASS: &str = "lb.internal/lb";

/// Prefix of our annotations and labels.
pub const PREFIX: &str = "lb.internal";

/// What the operator says about clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The clusters, in order: where two disagree, the first wins.
    pub clusters: Vec<ClusterOptions>,
    /// Services whose `loadBalancerClass` is this are served.
    pub load_balancer_class: String,
    /// Services without a `loadBalancerClass` are served too.
    pub takes_unclassed_services: bool,
    /// Classes whose Ingresses are served although their controller is another: to take over from
    /// it without touching objects. A name may be that of no `IngressClass`.
    pub ingress_classes: BTreeSet<String>,
    /// Ingresses without a class are served too, even if no class of ours is the default one.
    pub takes_unclassed_ingresses: bool,
    /// How packets reach pods, unless an annotation says otherwise.
    pub mode: ForwardingMode,
    /// Pools beside those of `AddressPool` objects.
    pub pools: Vec<Pool>,
    /// Pool or address that all Ingresses of a class share; `None` = any pool.
    pub ingress_address: Option<AddressRequest>,
    /// Names that `ExternalName` Services, FQDN slices and `XBackend`s may have. Empty = none.
    pub external_names: Vec<HostPattern>,
    /// Hosts and paths made from namespaces and services.
    pub discovery: Option<Discovery>,
    /// A whole configuration in a ConfigMap: its key in the first cluster, and the data's key.
    pub config_map: Option<(ObjectKey, String)>,
    /// Certificates of the file that Ingress hosts without a Secret may use, by name.
    pub certificates: Table<String, Certificate>,
    /// Status, events and Leases are written.
    pub writes_status: bool,
    /// Namespace of the Lease in the first cluster. (Events about objects in no namespace are in
    /// `default`, as Kubernetes has it.)
    pub lease_namespace: String,
    /// Zone of this router, for `trafficDistribution`; `None` = unknown.
    pub zone: Option<String>,
    /// Name of this node, for `externalTrafficPolicy: Local`; `None` = a router that is no node.
    pub node: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clusters: Vec::new(),
            load_balancer_class: LOAD_BALANCER_CLASS.to_owned(),
            takes_unclassed_services: true,
            ingress_classes: BTreeSet::new(),
            takes_unclassed_ingresses: false,
            mode: ForwardingMode::default(),
            pools: Vec::new(),
            ingress_address: None,
            external_names: Vec::new(),
            discovery: None,
            config_map: None,
            certificates: Table::new(),
            writes_status: true,
            lease_namespace: "lb-system".to_owned(),
            zone: None,
            node: None,
        }
    }
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterOptions {
    /// Name, unique.
    pub name: String,
    /// Where its API server is; `None` = the cluster that this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; `None` = its current one.
    pub context: Option<String>,
    /// Only objects of these namespaces are watched; empty = all. With some, kinds of the whole
    /// cluster are watched only where the service account may.
    pub namespaces: Vec<String>,
    /// Share of each endpoint of this cluster where several clusters offer the same, 0..=1,000.
    pub weight: u16,
}

/// Addresses that services and gateways may get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Name, unique among pools of the file and `AddressPool` objects.
    pub name: String,
    /// Ranges.
    pub ranges: Vec<AddressRange>,
    /// Addresses are also given to who asks for no pool.
    pub auto_assign: bool,
    /// Addresses belong to this host: listeners are bound, nothing is forwarded by XDP.
    pub bind: bool,
    /// Only to objects of namespaces with these labels; empty = all.
    pub namespace_labels: BTreeMap<String, String>,
    /// Only to objects with these labels; empty = all.
    pub object_labels: BTreeMap<String, String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressRequest {
    /// Any of this pool.
    Pool(String),
    /// These.
    Addresses(Vec<IpAddr>),
}

/// Hosts and paths made from namespaces and services, for every Service port of a namespace that
/// is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Namespaces with all of these labels; empty = all.
    pub namespace_labels: BTreeMap<String, String>,
    /// Services with all of these labels; empty = all.
    pub service_labels: BTreeMap<String, String>,
    /// Namespaces whose annotation `lb.internal/expires` (RFC 3339) or this age is over are left
    /// out; `None` = no age.
    pub lifetime: Option<Duration>,
    /// The rules.
    pub rules: Vec<DiscoveryRule>,
}

/// A host and path made from a namespace and a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryRule {
    /// Listeners of the file that it is attached to.
    pub listeners: Vec<String>,
    /// Only for this namespace; `None` = all that are chosen.
    pub namespace: Option<String>,
    /// Host; `{namespace}` and `{service}` are filled in.
    pub host: String,
    /// Path prefix, filled in too.
    pub path: String,
    /// Name of a route of the file whose first rule's filters, timeouts and retries it takes.
    pub template: Option<String>,
    /// Name of an upstream of the file whose way to speak to endpoints it takes.
    pub upstream_template: Option<String>,
    /// Port of the Service, by name or number; `None` = its first.
    pub port: Option<String>,
}
