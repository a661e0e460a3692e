//! The kinds that are watched, and where an API server has them.

use super::{
    change::{Object, Read},
    reflect::{Reflector, Watch},
    source::Scope,
};
use crate::{Objects, Store};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use std::{fmt, io};

/// A kind that is watched.
pub(crate) struct Kind {
    /// Name as manifests have it.
    pub(crate) name: &'static str,
    /// API group; empty for the core.
    pub(crate) group: &'static str,
    /// Versions that can be read, the best first.
    pub(crate) versions: &'static [&'static str],
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// Objects are in namespaces.
    pub(crate) is_namespaced: bool,
    /// Only objects that others refer to are watched.
    pub(crate) is_by_need: bool,
    /// What is written to its status says nothing to lowering.
    pub(crate) ignores_status: bool,
    /// Watches it.
    pub(super) watch: fn(Watch) -> BoxFuture<'static, ()>,
    /// How many objects there are.
    pub(crate) count: fn(&Objects) -> usize,
    /// Forgets objects that are not chosen.
    pub(crate) retain: fn(&mut Objects, &Chosen<'_>),
    /// Moves its objects from the second to the first.
    pub(crate) hand_over: fn(&mut Objects, &mut Objects),
    /// Writes its objects, a line each: its name and the object.
    pub(crate) save: fn(&Objects, &mut dyn io::Write) -> io::Result<()>,
    /// Puts in an object that was written; false = it cannot be read.
    pub(crate) restore: fn(&mut Objects, Value) -> bool,
}

/// Whether an object is chosen.
type Chosen<'a> = dyn Fn(&crate::ObjectKey) -> bool + 'a;

impl Kind {
    /// Where objects of a scope are.
    pub(super) fn path(&self, version: &str, scope: &Scope) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{}/{version}", self.group)
        };
        match scope.namespace() {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const CORE: &str = "";
const DISCOVERY: &str = "discovery.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const GATEWAY: &str = "gateway.networking.k8s.io";
const GATEWAY_X: &str = "gateway.networking.x-k8s.io";
const OURS: &str = "lb.internal";

macro_rules! kind {
    ($type:ident, $store:ident, $group:expr, $versions:expr, $plural:literal $(, $trait:ident)*) => {
        Kind {
            $($trait: true,)*
            ..Kind {
                name: stringify!($type),
                group: $group,
                versions: &$versions,
                plural: $plural,
                is_namespaced: false,
                is_by_need: false,
                ignores_status: false,
                watch: |it| Box::pin(Reflector::new(it, |objects| &mut objects.$store).run()),
                count: |objects| objects.$store.len(),
                retain: |objects, chosen| objects.$store.retain(|key, _| chosen(key)),
                hand_over: |to, from| to.$store = std::mem::take(&mut from.$store),
                save: |objects, out| save(stringify!($type), &objects.$store, out),
                restore: |objects, value| restore(&mut objects.$store, value),
            }
        }
    };
}

fn save<T: Serialize>(kind: &str, store: &Store<T>, out: &mut dyn io::Write) -> io::Result<()> {
    for object in store.values() {
        write!(out, "{kind} ")?;
        serde_json::to_writer(&mut *out, &**object)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn restore<T: Object>(store: &mut Store<T>, value: Value) -> bool {
    let Read { key, object } = Read::of(value);
    object.map(|object| store.insert(key, object)).is_ok()
}

/// All kinds that are watched.
pub(crate) static KINDS: [Kind; 20] = [
    kind!(Namespace, namespaces, CORE, ["v1"], "namespaces"),
    kind!(Service, services, CORE, ["v1"], "services", is_namespaced),
    kind!(EndpointSlice, endpoint_slices, DISCOVERY, ["v1"], "endpointslices", is_namespaced),
    kind!(Secret, secrets, CORE, ["v1"], "secrets", is_namespaced, is_by_need),
    kind!(ConfigMap, config_maps, CORE, ["v1"], "configmaps", is_namespaced, is_by_need),
    kind!(IngressClass, ingress_classes, NETWORKING, ["v1"], "ingressclasses"),
    kind!(Ingress, ingresses, NETWORKING, ["v1"], "ingresses", is_namespaced),
    kind!(
        GatewayClass,
        gateway_classes,
        GATEWAY,
        ["v1", "v1beta1"],
        "gatewayclasses",
        ignores_status
    ),
    kind!(Gateway, gateways, GATEWAY, ["v1", "v1beta1"], "gateways", is_namespaced),
    kind!(
        ListenerSet,
        listener_sets,
        GATEWAY,
        ["v1"],
        "listenersets",
        is_namespaced,
        ignores_status
    ),
    kind!(
        HTTPRoute,
        http_routes,
        GATEWAY,
        ["v1", "v1beta1"],
        "httproutes",
        is_namespaced,
        ignores_status
    ),
    kind!(
        GRPCRoute,
        grpc_routes,
        GATEWAY,
        ["v1", "v1alpha2"],
        "grpcroutes",
        is_namespaced,
        ignores_status
    ),
    kind!(
        TLSRoute,
        tls_routes,
        GATEWAY,
        ["v1", "v1alpha3", "v1alpha2"],
        "tlsroutes",
        is_namespaced,
        ignores_status
    ),
    kind!(
        TCPRoute,
        tcp_routes,
        GATEWAY,
        ["v1", "v1alpha2"],
        "tcproutes",
        is_namespaced,
        ignores_status
    ),
    kind!(
        UDPRoute,
        udp_routes,
        GATEWAY,
        ["v1", "v1alpha2"],
        "udproutes",
        is_namespaced,
        ignores_status
    ),
    kind!(
        ReferenceGrant,
        reference_grants,
        GATEWAY,
        ["v1", "v1beta1"],
        "referencegrants",
        is_namespaced
    ),
    kind!(
        BackendTLSPolicy,
        backend_tls_policies,
        GATEWAY,
        ["v1", "v1alpha3"],
        "backendtlspolicies",
        is_namespaced,
        ignores_status
    ),
    kind!(
        XBackendTrafficPolicy,
        traffic_policies,
        GATEWAY_X,
        ["v1alpha1"],
        "xbackendtrafficpolicies",
        is_namespaced,
        ignores_status
    ),
    kind!(XBackend, backends, GATEWAY_X, ["v1alpha1"], "xbackends", is_namespaced, ignores_status),
    kind!(AddressPool, address_pools, OURS, ["v1alpha1"], "addresspools"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKey;

    #[test]
    fn paths_are_those_of_the_api() {
        let path = |name: &str, version: &str, scope: Scope| {
            KINDS.iter().find(|it| it.name == name).unwrap().path(version, &scope)
        };
        assert_eq!(path("Service", "v1", Scope::All), "/api/v1/services");
        assert_eq!(
            path("TCPRoute", "v1alpha2", Scope::Namespace("a".to_owned())),
            "/apis/gateway.networking.k8s.io/v1alpha2/namespaces/a/tcproutes"
        );
        assert_eq!(
            path("Secret", "v1", Scope::One(ObjectKey::new("a", "tls"))),
            "/api/v1/namespaces/a/secrets"
        );
    }
}
