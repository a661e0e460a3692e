//! What one cluster's API server has, as far as it is watched.

use crate::api::{
    AddressPool, BackendTLSPolicy, GRPCRoute, Gateway, GatewayClass, HTTPRoute, ListenerSet,
    ReferenceGrant, TCPRoute, TLSRoute, UDPRoute, XBackend, XBackendTrafficPolicy,
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Secret, Service},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress, IngressClass},
};
use lb_model::Table;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Where an object is in its cluster. Displays as `namespace/name`, or `name` if it is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Namespace; empty for objects of the whole cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object in a namespace (or in none, if that is empty).
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key that `text` gives, `NAME` of this namespace or `NAMESPACE/NAME`.
    pub fn parse(text: &str, namespace: &str) -> Self {
        let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
        Self::new(namespace, name)
    }

    /// The key of `object`.
    pub fn of(object: &impl kube::Resource) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Objects of a kind by key.
pub type Store<T> = Table<ObjectKey, Arc<T>>;

/// What one cluster's API server has, as far as it is watched.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "a store for each kind")]
pub struct Objects {
    pub namespaces: Store<Namespace>,
    pub services: Store<Service>,
    pub endpoint_slices: Store<EndpointSlice>,
    pub secrets: Store<Secret>,
    pub config_maps: Store<ConfigMap>,
    pub ingress_classes: Store<IngressClass>,
    pub ingresses: Store<Ingress>,
    pub gateway_classes: Store<GatewayClass>,
    pub gateways: Store<Gateway>,
    pub listener_sets: Store<ListenerSet>,
    pub http_routes: Store<HTTPRoute>,
    pub grpc_routes: Store<GRPCRoute>,
    pub tls_routes: Store<TLSRoute>,
    pub tcp_routes: Store<TCPRoute>,
    pub udp_routes: Store<UDPRoute>,
    pub reference_grants: Store<ReferenceGrant>,
    pub backend_tls_policies: Store<BackendTLSPolicy>,
    pub traffic_policies: Store<XBackendTrafficPolicy>,
    pub backends: Store<XBackend>,
    pub address_pools: Store<AddressPool>,
}

/// Kinds whose status or events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the kinds' own names")]
pub enum ObjectKind {
    GatewayClass,
    Gateway,
    ListenerSet,
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    #[serde(rename = "GRPCRoute")]
    GrpcRoute,
    #[serde(rename = "TLSRoute")]
    TlsRoute,
    #[serde(rename = "TCPRoute")]
    TcpRoute,
    #[serde(rename = "UDPRoute")]
    UdpRoute,
    #[serde(rename = "BackendTLSPolicy")]
    BackendTlsPolicy,
    XBackendTrafficPolicy,
    XBackend,
    AddressPool,
    Service,
    IngressClass,
    Ingress,
    ConfigMap,
    Namespace,
}

impl ObjectKind {
    /// The kind as manifests call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GatewayClass => "GatewayClass",
            Self::Gateway => "Gateway",
            Self::ListenerSet => "ListenerSet",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TlsRoute => "TLSRoute",
            Self::TcpRoute => "TCPRoute",
            Self::UdpRoute => "UDPRoute",
            Self::BackendTlsPolicy => "BackendTLSPolicy",
            Self::XBackendTrafficPolicy => "XBackendTrafficPolicy",
            Self::XBackend => "XBackend",
            Self::AddressPool => "AddressPool",
            Self::Service => "Service",
            Self::IngressClass => "IngressClass",
            Self::Ingress => "Ingress",
            Self::ConfigMap => "ConfigMap",
            Self::Namespace => "Namespace",
        }
    }
}

/// One object among all clusters. Displays as `Kind namespace/name (cluster)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// Name of the cluster.
    pub cluster: String,
    /// Kind.
    pub kind: ObjectKind,
    /// Where it is in the cluster.
    pub key: ObjectKey,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind.name(), self.key, self.cluster)
    }
}
