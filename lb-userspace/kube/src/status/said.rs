//! What objects say now: their status, whatever the kind.

use crate::{
    ObjectId, ObjectKey, ObjectKind, Objects, Store,
    api::{
        AddressPool, AddressPoolStatus, BackendTLSPolicy, GRPCRoute, Gateway, GatewayClass,
        GatewayClassStatus, GatewayStatus, HTTPRoute, ListenerSet, ListenerSetStatus, PolicyStatus,
        RouteStatus, TCPRoute, TLSRoute, UDPRoute, XBackend, XBackendTrafficPolicy,
    },
    watch::Versions,
};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Service, ServiceStatus},
        networking::v1::{Ingress, IngressClass, IngressStatus},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::ApiResource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// A status of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Said {
    GatewayClass(GatewayClassStatus),
    Gateway(GatewayStatus),
    ListenerSet(ListenerSetStatus),
    Route(RouteStatus),
    Policy(PolicyStatus),
    AddressPool(AddressPoolStatus),
    Service(ServiceStatus),
    Ingress(IngressStatus),
}

impl Said {
    /// What an object says that is watched; `None` = it is not there, or its kind has no status.
    pub(super) fn of(objects: &Objects, id: &ObjectId) -> Option<Self> {
        let key = &id.key;
        Some(match id.kind {
            ObjectKind::GatewayClass => {
                Self::GatewayClass(own(objects.gateway_classes.get(key)?.status.as_ref()))
            }
            ObjectKind::Gateway => Self::Gateway(own(objects.gateways.get(key)?.status.as_ref())),
            ObjectKind::ListenerSet => {
                Self::ListenerSet(own(objects.listener_sets.get(key)?.status.as_ref()))
            }
            ObjectKind::HttpRoute => {
                Self::Route(own(objects.http_routes.get(key)?.status.as_ref()))
            }
            ObjectKind::GrpcRoute => {
                Self::Route(own(objects.grpc_routes.get(key)?.status.as_ref()))
            }
            ObjectKind::TlsRoute => Self::Route(own(objects.tls_routes.get(key)?.status.as_ref())),
            ObjectKind::TcpRoute => Self::Route(own(objects.tcp_routes.get(key)?.status.as_ref())),
            ObjectKind::UdpRoute => Self::Route(own(objects.udp_routes.get(key)?.status.as_ref())),
            ObjectKind::XBackend => Self::Route(own(objects.backends.get(key)?.status.as_ref())),
            ObjectKind::BackendTlsPolicy => {
                Self::Policy(own(objects.backend_tls_policies.get(key)?.status.as_ref()))
            }
            ObjectKind::XBackendTrafficPolicy => {
                Self::Policy(own(objects.traffic_policies.get(key)?.status.as_ref()))
            }
            ObjectKind::AddressPool => {
                Self::AddressPool(own(objects.address_pools.get(key)?.status.as_ref()))
            }
            ObjectKind::Service => Self::Service(own(objects.services.get(key)?.status.as_ref())),
            ObjectKind::Ingress => Self::Ingress(own(objects.ingresses.get(key)?.status.as_ref())),
            ObjectKind::IngressClass | ObjectKind::ConfigMap | ObjectKind::Namespace => {
                return None;
            }
        })
    }

    /// It as an API server takes it: lists that must be there are there.
    pub(super) fn value(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        let required = match self {
            Self::Route(_) => "parents",
            Self::Policy(_) => "ancestors",
            _ => return value,
        };
        if let Some(status) = value.as_object_mut() {
            status.entry(required).or_insert_with(|| Value::Array(Vec::new()));
        }
        value
    }

    /// What an object says that was just read.
    pub(super) fn parse(kind: ObjectKind, status: Option<&Value>) -> Option<Self> {
        Some(match kind {
            ObjectKind::GatewayClass => Self::GatewayClass(read(status)?),
            ObjectKind::Gateway => Self::Gateway(read(status)?),
            ObjectKind::ListenerSet => Self::ListenerSet(read(status)?),
            ObjectKind::HttpRoute
            | ObjectKind::GrpcRoute
            | ObjectKind::TlsRoute
            | ObjectKind::TcpRoute
            | ObjectKind::UdpRoute
            | ObjectKind::XBackend => Self::Route(read(status)?),
            ObjectKind::BackendTlsPolicy | ObjectKind::XBackendTrafficPolicy => {
                Self::Policy(read(status)?)
            }
            ObjectKind::AddressPool => Self::AddressPool(read(status)?),
            ObjectKind::Service => Self::Service(read(status)?),
            ObjectKind::Ingress => Self::Ingress(read(status)?),
            ObjectKind::IngressClass | ObjectKind::ConfigMap | ObjectKind::Namespace => {
                return None;
            }
        })
    }
}

/// The metadata of an object that is watched.
pub(super) fn metadata<'a>(objects: &'a Objects, id: &ObjectId) -> Option<&'a ObjectMeta> {
    let key = &id.key;
    Some(match id.kind {
        ObjectKind::GatewayClass => &objects.gateway_classes.get(key)?.metadata,
        ObjectKind::Gateway => &objects.gateways.get(key)?.metadata,
        ObjectKind::ListenerSet => &objects.listener_sets.get(key)?.metadata,
        ObjectKind::HttpRoute => &objects.http_routes.get(key)?.metadata,
        ObjectKind::GrpcRoute => &objects.grpc_routes.get(key)?.metadata,
        ObjectKind::TlsRoute => &objects.tls_routes.get(key)?.metadata,
        ObjectKind::TcpRoute => &objects.tcp_routes.get(key)?.metadata,
        ObjectKind::UdpRoute => &objects.udp_routes.get(key)?.metadata,
        ObjectKind::XBackend => &objects.backends.get(key)?.metadata,
        ObjectKind::BackendTlsPolicy => &objects.backend_tls_policies.get(key)?.metadata,
        ObjectKind::XBackendTrafficPolicy => &objects.traffic_policies.get(key)?.metadata,
        ObjectKind::AddressPool => &objects.address_pools.get(key)?.metadata,
        ObjectKind::Service => &objects.services.get(key)?.metadata,
        ObjectKind::Ingress => &objects.ingresses.get(key)?.metadata,
        ObjectKind::IngressClass => &objects.ingress_classes.get(key)?.metadata,
        ObjectKind::ConfigMap => &objects.config_maps.get(key)?.metadata,
        ObjectKind::Namespace => &objects.namespaces.get(key)?.metadata,
    })
}

/// Objects that say something by parent or ancestor.
pub(super) fn with_parents(objects: &Objects, cluster: &str) -> Vec<ObjectId> {
    fn of<T>(cluster: &str, kind: ObjectKind, store: &Store<T>) -> Vec<ObjectId> {
        let id = |key: &ObjectKey| ObjectId { cluster: cluster.to_owned(), kind, key: key.clone() };
        store.keys().map(id).collect()
    }
    let mut ids = of(cluster, ObjectKind::HttpRoute, &objects.http_routes);
    ids.extend(of(cluster, ObjectKind::GrpcRoute, &objects.grpc_routes));
    ids.extend(of(cluster, ObjectKind::TlsRoute, &objects.tls_routes));
    ids.extend(of(cluster, ObjectKind::TcpRoute, &objects.tcp_routes));
    ids.extend(of(cluster, ObjectKind::UdpRoute, &objects.udp_routes));
    ids.extend(of(cluster, ObjectKind::XBackend, &objects.backends));
    ids.extend(of(cluster, ObjectKind::BackendTlsPolicy, &objects.backend_tls_policies));
    ids.extend(of(cluster, ObjectKind::XBackendTrafficPolicy, &objects.traffic_policies));
    ids
}

/// Objects with a status that are not as `before`.
pub(super) fn changes(objects: &Objects, before: &Objects, cluster: &str) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    macro_rules! changes {
        ($($kind:ident $store:ident,)*) => {
            $(for change in objects.$store.changes(&before.$store, Arc::ptr_eq) {
                let (kind, key) = (ObjectKind::$kind, change.key.clone());
                ids.push(ObjectId { cluster: cluster.to_owned(), kind, key });
            })*
        };
    }
    changes! {
        GatewayClass gateway_classes,
        Gateway gateways,
        ListenerSet listener_sets,
        HttpRoute http_routes,
        GrpcRoute grpc_routes,
        TlsRoute tls_routes,
        TcpRoute tcp_routes,
        UdpRoute udp_routes,
        XBackend backends,
        BackendTlsPolicy backend_tls_policies,
        XBackendTrafficPolicy traffic_policies,
        AddressPool address_pools,
        Service services,
        Ingress ingresses,
    }
    ids
}

/// Where an API server has objects of a kind, at the version that it has of them: it may be older
/// than the newest that is known here.
pub(super) fn resource(kind: ObjectKind, versions: &Versions) -> ApiResource {
    let mut resource = newest(kind);
    if let Some(version) = versions.get(kind.name()) {
        resource.version.clone_from(version);
        resource.api_version = match resource.group.as_str() {
            "" => version.clone(),
            group => format!("{group}/{version}"),
        };
    }
    resource
}

/// Where an API server has objects of a kind at the newest version that is known here.
pub(super) fn newest(kind: ObjectKind) -> ApiResource {
    match kind {
        ObjectKind::GatewayClass => ApiResource::erase::<GatewayClass>(&()),
        ObjectKind::Gateway => ApiResource::erase::<Gateway>(&()),
        ObjectKind::ListenerSet => ApiResource::erase::<ListenerSet>(&()),
        ObjectKind::HttpRoute => ApiResource::erase::<HTTPRoute>(&()),
        ObjectKind::GrpcRoute => ApiResource::erase::<GRPCRoute>(&()),
        ObjectKind::TlsRoute => ApiResource::erase::<TLSRoute>(&()),
        ObjectKind::TcpRoute => ApiResource::erase::<TCPRoute>(&()),
        ObjectKind::UdpRoute => ApiResource::erase::<UDPRoute>(&()),
        ObjectKind::XBackend => ApiResource::erase::<XBackend>(&()),
        ObjectKind::BackendTlsPolicy => ApiResource::erase::<BackendTLSPolicy>(&()),
        ObjectKind::XBackendTrafficPolicy => ApiResource::erase::<XBackendTrafficPolicy>(&()),
        ObjectKind::AddressPool => ApiResource::erase::<AddressPool>(&()),
        ObjectKind::Service => ApiResource::erase::<Service>(&()),
        ObjectKind::Ingress => ApiResource::erase::<Ingress>(&()),
        ObjectKind::IngressClass => ApiResource::erase::<IngressClass>(&()),
        ObjectKind::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
        ObjectKind::Namespace => ApiResource::erase::<Namespace>(&()),
    }
}

fn own<T: Clone + Default>(status: Option<&T>) -> T {
    status.cloned().unwrap_or_default()
}

fn read<T: Default + DeserializeOwned>(status: Option<&Value>) -> Option<T> {
    status.map_or_else(|| Some(T::default()), |it| serde_json::from_value(it.clone()).ok())
}
