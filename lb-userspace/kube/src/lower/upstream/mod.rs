//! What a reference to a backend becomes: an upstream of endpoints.

mod annotation;
mod endpoints;
mod external;
mod forward;
mod port;
mod protocol;
mod resolved;
mod tls;
mod topology;
mod xbackend;

use super::{
    draft::Draft,
    index::{Referent, Referrer},
};
use crate::{
    ObjectId, ObjectKey, ObjectKind,
    api::{BackendRef, ParentRef},
};
use endpoints::chosen;
use lb_model::{Endpoint, Protocol, Upstream, UpstreamProtocol, UpstreamTls};
use protocol::Spoken;
use std::mem;

pub(super) use annotation::Annotations;
pub(super) use endpoints::Place;
pub(super) use forward::{backends, forwarding};
pub(super) use port::PortKey;
pub(super) use resolved::{Resolution, Resolved, ResolvedKey};
pub(super) use xbackend::report;

/// Group of `XBackend` (GEP-4894).
const BACKEND_GROUP: &str = "gateway.networking.x-k8s.io";

/// A backend that is referred to.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// Clusters whose objects it is looked for in, by place in the configuration: those that have
    /// the object that refers. The first's Service rules, endpoints are the union.
    pub(super) clusters: &'a [usize],
    /// Group and kind of who refers, for grants; `Ingress` needs none beyond its namespace. Of a
    /// `UDPRoute` the ports of UDP are meant, of [`SCTP_REFERRER`] those of SCTP, else those of TCP.
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
    pub(super) ancestors: &'a [ParentRef],
}

/// In place of its kind: a Service whose port of SCTP is meant. No route is of SCTP.
pub(super) const SCTP_REFERRER: &str = "Service of SCTP";

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

/// Where a backend is and how it is spoken to.
struct Found<'a> {
    places: Vec<Place<'a>>,
    spoken: Spoken,
    tls: Option<UpstreamTls>,
    /// What TLS adds to the name after `+tls`: `:POLICY`, or nothing.
    tls_name: Option<String>,
    annotations: Annotations<'a>,
    /// The object, told what is wrong with its annotations.
    object: ObjectId,
    /// It may not be spoken to at all: its policy is invalid.
    is_broken: bool,
    /// The retry budget that a policy gives it.
    retries_percent: Option<u8>,
}

impl<'a> Draft<'a> {
    /// The name in [`lb_model::Proxy::upstreams`] of the upstream for a backend, added if it is
    /// not there yet and somebody is served with it.
    pub(super) fn upstream(&mut self, wanted: &Wanted<'_>) -> Result<String, BackendProblem> {
        let is_service = is_service(wanted.backend)?;
        let port = self.backend_port(wanted)?;
        let key = ResolvedKey {
            port,
            is_service,
            protocol: wanted.protocol.into(),
            is_stream: wanted.is_stream,
            client_certificate: wanted.client_certificate.map(str::to_owned),
        };
        let (key, resolution) = if let Some(known) = self.resolved.entry(&key) {
            known
        } else {
            let resolution = self.resolve(&key);
            self.resolved.put(key.into(), resolution)
        };
        let Resolution { result, upstream, .. } = &*resolution;
        if let (Ok(name), Some(upstream), true) = (result, upstream, self.uses.are_served)
            && !self.desired.proxy.upstreams.contains_key(name)
        {
            self.desired.proxy.upstreams.insert(name.clone(), upstream.clone());
        }
        let object = &key.port.object;
        if is_service {
            self.policies.note(object, wanted.ancestors);
            if self.policies.is_target(object) {
                self.uses.told.push((object.clone(), wanted.ancestors.to_vec()));
            }
        } else {
            self.resolved.backends.note(object, wanted.ancestors, result.as_ref().err());
        }
        self.uses.note(key);
        result.clone()
    }

    /// What a reference to a Service or an XBackend means, if it may be made at all.
    pub(super) fn backend_port(&self, wanted: &Wanted<'_>) -> Result<PortKey, BackendProblem> {
        let backend = wanted.backend;
        let is_service = is_service(backend)?;
        let (group, kind) = if is_service { ("", "Service") } else { (BACKEND_GROUP, "XBackend") };
        let namespace = backend.namespace.as_deref().unwrap_or(wanted.namespace);
        let (from_group, from_kind) = wanted.referrer;
        let from = Referrer { group: from_group, kind: from_kind, namespace: wanted.namespace };
        let to = Referent { group, kind, namespace, name: &backend.name };
        let is_granted = |cluster: &usize| self.index.is_granted(*cluster, from, to);
        let clusters: Vec<usize> = wanted.clusters.iter().copied().filter(is_granted).collect();
        let object = ObjectKey::new(namespace, &backend.name);
        self.uses.see(&object);
        if clusters.is_empty() {
            return Err(BackendProblem::NotPermitted(object));
        }
        // An XBackend says its port itself.
        let port = backend.port.or_else(|| (!is_service).then_some(0));
        let Some(port) = port else {
            return Err(BackendProblem::NotFound(format!("a port of Service {object}")));
        };
        let protocol = match from_kind {
            "UDPRoute" => Protocol::Udp,
            SCTP_REFERRER => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        Ok(PortKey { object, clusters, port, protocol })
    }

    /// What a look-up comes to now.
    pub(super) fn resolve(&mut self, key: &ResolvedKey) -> Resolution {
        let others = mem::take(&mut self.notices);
        let found = self.found(key);
        let notices = mem::replace(&mut self.notices, others);
        match found {
            Ok((name, upstream)) => {
                Resolution { result: Ok(name), upstream: Some(upstream.into()), notices }
            }
            Err(problem) => Resolution { result: Err(problem), upstream: None, notices },
        }
    }

    fn found(&mut self, key: &ResolvedKey) -> Result<(String, Upstream), BackendProblem> {
        let protocol = key.protocol.into();
        let mut found = if key.is_service {
            self.found_service(&key.port, protocol, key.is_stream)?
        } else {
            self.found_backend(&key.port, protocol, key.is_stream)?
        };
        let mut name = self.port_name(&key.port, key.is_service);
        name.push_str(found.spoken.suffix());
        if let Some(policy) = &found.tls_name {
            name.push_str(" +tls");
            name.push_str(policy);
        }
        if let Some(tls) = &mut found.tls
            && let (None, Some(certificate)) = (&tls.certificate, &key.client_certificate)
        {
            tls.certificate = Some(certificate.clone());
            name.push_str(" +cert:");
            name.push_str(certificate);
        }
        Ok((name, self.made(found)))
    }

    fn made(&mut self, found: Found<'_>) -> Upstream {
        let Found {
            places, spoken, tls, mut annotations, object, is_broken, retries_percent, ..
        } = found;
        let places = if is_broken { Vec::new() } else { chosen(places, false) };
        let endpoints = places.into_iter().map(endpoint).collect();
        let mut upstream =
            Upstream { endpoints, protocol: spoken.protocol, tls, ..Upstream::default() };
        annotations.apply(&mut upstream);
        if let Some(percent) = retries_percent {
            upstream.limits.retries_percent_max = percent;
        }
        for problem in annotations.problems {
            self.warn(object.clone(), "InvalidAnnotation", problem);
        }
        upstream
    }

    /// What a port of a Service leads to, over all clusters that have it; the first's spec rules.
    fn found_service(
        &mut self,
        key: &PortKey,
        wanted: UpstreamProtocol,
        is_stream: bool,
    ) -> Result<Found<'a>, BackendProblem> {
        let ports = self.service_ports(key)?;
        let Some(first) = ports.first().copied() else {
            return Err(BackendProblem::NotFound(format!("Service {}", key.object)));
        };
        let app_protocol = first.spec.and_then(|it| it.app_protocol.as_deref());
        let spoken =
            if is_stream { Spoken::default() } else { protocol::spoken(app_protocol, wanted)? };
        let mut annotations = Annotations::of(first.service);
        let policy = self.tls_policy(&key.object, Some(first.name()));
        let is_broken = policy.as_ref().is_some_and(|it| it.tls.is_err());
        let (tls_name, tls) = match policy {
            Some(policy) => (Some(format!(":{}", policy.name)), policy.tls.ok()),
            None if spoken.is_tls => {
                (Some(String::new()), Some(tls::origin(&first, &mut annotations)))
            }
            None => (None, None),
        };
        let traffic = self.policies.traffic(&key.object);
        let budget = traffic.and_then(|it| it.retry_constraint.as_ref()?.budget.as_ref()?.percent);
        let mut places = Vec::new();
        for port in &ports {
            if external::name_of(port.service).is_some() {
                places.extend(self.external_places(port, key.port)?);
            } else {
                places.extend(endpoints::one_family(self.places(port)?, port));
            }
        }
        Ok(Found {
            places,
            spoken,
            tls,
            tls_name,
            annotations,
            object: self.id(first.cluster, ObjectKind::Service, &key.object),
            is_broken,
            retries_percent: budget.map(|it| u8::try_from(it).unwrap_or(100).min(100)),
        })
    }

    /// `NS/SERVICE:PORT`, with the clusters if they are not all.
    fn port_name(&self, key: &PortKey, is_service: bool) -> String {
        let mut name = if is_service {
            format!("{}:{}", key.object, key.port)
        } else {
            format!("XBackend/{}", key.object)
        };
        match key.protocol {
            Protocol::Tcp => {}
            Protocol::Udp => name.push_str(" +udp"),
            Protocol::Sctp => name.push_str(" +sctp"),
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

/// Whether a Service is meant, else an XBackend.
fn is_service(backend: &BackendRef) -> Result<bool, BackendProblem> {
    let group = backend.group.as_deref().unwrap_or_default();
    match (group, backend.kind.as_deref().unwrap_or("Service")) {
        ("", "Service") => Ok(true),
        (BACKEND_GROUP, "XBackend") => Ok(false),
        ("", kind) => Err(BackendProblem::Kind(kind.to_owned())),
        (group, kind) => Err(BackendProblem::Kind(format!("{kind}.{group}"))),
    }
}

fn endpoint(place: Place<'_>) -> (String, Endpoint) {
    let Place { name, address, port, weight, is_draining, .. } = place;
    (name, Endpoint { address, port, weight, drain: is_draining })
}

#[cfg(test)]
mod tests;
