//! What a reference to a backend becomes: an upstream of endpoints.

mod endpoints;
mod port;
mod protocol;

use super::{
    draft::Draft,
    index::{Referent, Referrer},
};
use crate::{ObjectKey, api::BackendRef};
use endpoints::Place;
use lb_model::{Endpoint, Upstream, UpstreamProtocol, UpstreamTls};
use port::PortKey;
use std::collections::BTreeMap;

/// Group of `XBackend` (GEP-4894).
const BACKEND_GROUP: &str = "gateway.networking.x-k8s.io";

/// A backend that is referred to.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// Clusters whose objects it is looked for in, by place in the configuration: those that have
    /// the object that refers. The first's Service rules, endpoints are the union.
    pub(super) clusters: &'a [usize],
    /// Group and kind of who refers, for grants; `Ingress` needs none beyond its namespace. Of a
    /// `UDPRoute` the ports of UDP are meant, else those of TCP.
    pub(super) referrer: (&'static str, &'static str),
    /// Namespace of who refers.
    pub(super) namespace: &'a str,
    /// What it refers to. Its filters and weight are not looked at.
    pub(super) backend: &'a BackendRef,
    /// What is spoken unless `appProtocol` or an XBackend says otherwise.
    pub(super) protocol: UpstreamProtocol,
    /// It is for TCP, TLS or UDP: what is spoken does not count, BackendTLSPolicy does.
    pub(super) is_stream: bool,
    /// The Gateway's certificate for backends, by name in `Desired`.
    pub(super) client_certificate: Option<&'a str>,
    /// The Gateways of the route, told in the status of policies.
    pub(super) ancestors: &'a [crate::api::ParentRef],
}

/// Why a backend cannot be used. Reasons are those of the condition `ResolvedRefs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BackendProblem {
    /// `InvalidKind`.
    #[error("backends of kind {0} are not known")]
    Kind(String),
    /// `RefNotPermitted`.
    #[error("no ReferenceGrant allows to refer to {0}")]
    NotPermitted(ObjectKey),
    /// `BackendNotFound`.
    #[error("{0} is not there")]
    NotFound(String),
    /// `UnsupportedProtocol`.
    #[error("its appProtocol {0} cannot be spoken here")]
    Protocol(String),
    /// `UnsupportedValue`, such as an ExternalName that is not allowed.
    #[error("{0}")]
    Refused(String),
}

impl BackendProblem {
    /// The reason for the condition `ResolvedRefs`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Kind(_) => "InvalidKind",
            Self::NotPermitted(_) => "RefNotPermitted",
            Self::NotFound(_) => "BackendNotFound",
            Self::Protocol(_) => "UnsupportedProtocol",
            Self::Refused(_) => "UnsupportedValue",
        }
    }
}

/// Backends looked up already: thousands of routes may refer to one.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    of: BTreeMap<ResolvedKey, Result<String, BackendProblem>>,
}

/// What makes a look-up another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ResolvedKey {
    port: PortKey,
    /// 0 = auto, 1 = HTTP/1.1, 2 = HTTP/2.
    protocol: u8,
    is_stream: bool,
    client_certificate: Option<String>,
}

impl Draft<'_> {
    /// The name in [`lb_model::Proxy::upstreams`] of the upstream for a backend, added if it is
    /// not there yet.
    pub(super) fn upstream(&mut self, wanted: &Wanted<'_>) -> Result<String, BackendProblem> {
        let port = self.backend_port(wanted)?;
        let key = ResolvedKey {
            port,
            protocol: match wanted.protocol {
                UpstreamProtocol::Auto => 0,
                UpstreamProtocol::Http1 => 1,
                UpstreamProtocol::Http2 => 2,
            },
            is_stream: wanted.is_stream,
            client_certificate: wanted.client_certificate.map(str::to_owned),
        };
        if let Some(resolved) = self.resolved.of.get(&key) {
            return resolved.clone();
        }
        let resolved = self.resolve(&key.port, wanted);
        self.resolved.of.insert(key, resolved.clone());
        resolved
    }

    /// What a reference means, if it may be made at all.
    pub(super) fn backend_port(&self, wanted: &Wanted<'_>) -> Result<PortKey, BackendProblem> {
        let backend = wanted.backend;
        let group = backend.group.as_deref().unwrap_or_default();
        let kind = backend.kind.as_deref().unwrap_or("Service");
        if (group, kind) != ("", "Service") {
            return Err(BackendProblem::Kind(kind_name(group, kind)));
        }
        let namespace = backend.namespace.as_deref().unwrap_or(wanted.namespace);
        let (referrer_group, referrer_kind) = wanted.referrer;
        let from =
            Referrer { group: referrer_group, kind: referrer_kind, namespace: wanted.namespace };
        let to = Referent { group, kind, namespace, name: &backend.name };
        let is_granted = |cluster: &usize| self.index.is_granted(*cluster, from, to);
        let clusters: Vec<usize> = wanted.clusters.iter().copied().filter(is_granted).collect();
        let object = ObjectKey::new(namespace, &backend.name);
        if clusters.is_empty() {
            return Err(BackendProblem::NotPermitted(object));
        }
        let Some(port) = backend.port else {
            return Err(BackendProblem::NotFound(format!("a port of Service {object}")));
        };
        Ok(PortKey { clusters, object, port, is_udp: referrer_kind == "UDPRoute" })
    }

    fn resolve(&mut self, key: &PortKey, wanted: &Wanted<'_>) -> Result<String, BackendProblem> {
        let ports = self.service_ports(key)?;
        let app_protocol = ports.first().and_then(|it| it.spec.app_protocol.as_deref());
        let spoken = if wanted.is_stream {
            protocol::Spoken::default()
        } else {
            protocol::spoken(app_protocol, wanted.protocol)?
        };
        let tls: Option<UpstreamTls> = None;
        let mut name = self.port_name(key);
        name.push_str(spoken.suffix());
        if !self.desired.proxy.upstreams.contains_key(&name) {
            let places = endpoints::chosen(self.places(&ports), self.world.options.as_ref());
            let endpoints = places.into_iter().map(endpoint).collect();
            let upstream =
                Upstream { endpoints, protocol: spoken.protocol, tls, ..Upstream::default() };
            self.desired.proxy.upstreams.insert(name.clone(), upstream);
        }
        Ok(name)
    }

    /// `NS/SERVICE:PORT`, with the clusters if they are not all.
    fn port_name(&self, key: &PortKey) -> String {
        let mut name = format!("{}:{}", key.object, key.port);
        if key.is_udp {
            name.push_str(" +udp");
        }
        if key.clusters.len() < self.world.clusters.len() {
            for cluster in key.clusters.iter().filter_map(|it| self.cluster(*it)) {
                name.push_str(" @");
                name.push_str(&cluster.name);
            }
        }
        name
    }
}

fn endpoint(place: Place<'_>) -> (String, Endpoint) {
    let Place { name, address, port, weight, is_draining, .. } = place;
    (name, Endpoint { address, port, weight, drain: is_draining })
}

fn kind_name(group: &str, kind: &str) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}
