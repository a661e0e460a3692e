//! One port of a Service: forwarded, or through the proxy.

use super::{Claims, Ours, Wishes, proxied};
use crate::{
    api::BackendRef,
    lower::{
        address::Assigned,
        draft::Draft,
        name::fitted,
        upstream::{Place, SCTP_REFERRER, Wanted, backends, forwarding},
    },
};
use k8s_openapi::api::core::v1::ServicePort;
use lb_model::{ForwardingMode, HealthCheck, Probe, Protocol, UpstreamProtocol, Vip};
use std::{collections::BTreeSet, net::SocketAddr};

/// A port that is wanted.
pub(super) struct Port<'a> {
    pub(super) spec: &'a ServicePort,
    pub(super) number: u16,
    pub(super) protocol: Protocol,
}

/// What came of a port.
pub(super) struct Outcome {
    /// It is served at some address.
    pub(super) is_served: bool,
    /// What is wrong, for people.
    pub(super) problem: Option<String>,
}

/// Serves a port at all addresses where no other has it.
pub(super) fn serve(
    draft: &mut Draft<'_>,
    claims: &mut Claims,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
) -> Outcome {
    let name = name(ours, port);
    let mut problems = Vec::new();
    let mut free = Vec::new();
    for assigned in &ours.addresses {
        let address = SocketAddr::new(assigned.address, port.number);
        match claims.take(address, port.protocol, &name) {
            Ok(()) => free.push(*assigned),
            Err(problem) => problems.push(problem),
        }
    }
    let served = at(draft, claims, ours, wishes, port, name, &free);
    let is_served = served.is_ok() && !free.is_empty();
    problems.extend(served.err());
    Outcome { is_served, problem: (!problems.is_empty()).then(|| problems.join("; ")) }
}

/// Serves a port at these addresses.
///
/// # Errors
/// What is wrong, for people.
fn at(
    draft: &mut Draft<'_>,
    claims: &mut Claims,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
    name: String,
    addresses: &[Assigned],
) -> Result<(), String> {
    let is_proxied = wishes.needs_proxy();
    let (proxied, forwarded): (Vec<Assigned>, Vec<Assigned>) =
        addresses.iter().partition(|it| it.bind || is_proxied);
    if !forwarded.is_empty() {
        forward(draft, claims, ours, wishes, port, &name, &forwarded)?;
    }
    if !proxied.is_empty() {
        proxied::serve(draft, ours, wishes, port, name, &proxied)?;
    }
    Ok(())
}

/// What the port refers to: the Service itself.
pub(super) fn wanted<'a>(
    ours: &'a Ours<'_>,
    backend: &'a BackendRef,
    port: &Port<'_>,
) -> Wanted<'a> {
    Wanted {
        clusters: &ours.clusters,
        referrer: (
            "",
            match port.protocol {
                Protocol::Tcp => "Service",
                Protocol::Udp => "UDPRoute",
                Protocol::Sctp => SCTP_REFERRER,
            },
        ),
        namespace: &ours.key.namespace,
        backend,
        protocol: UpstreamProtocol::Auto,
        is_stream: true,
        client_certificate: None,
        ancestors: &[],
    }
}

/// The Service as a backend.
pub(super) fn reference(ours: &Ours<'_>, port: &Port<'_>) -> BackendRef {
    let (name, port) = (ours.key.name.clone(), Some(port.number));
    BackendRef { name, port, ..BackendRef::default() }
}

/// `Service/NS/NAME`, with the port if there are several.
fn name(ours: &Ours<'_>, port: &Port<'_>) -> String {
    let key = ours.key;
    if ours.spec.ports.as_ref().is_none_or(|it| it.len() < 2) {
        return format!("Service/{key}");
    }
    match port.spec.name.as_deref().filter(|it| !it.is_empty()) {
        Some(name) => format!("Service/{key}:{name}"),
        None => format!("Service/{key}:{}", port.number),
    }
}

fn forward(
    draft: &mut Draft<'_>,
    claims: &mut Claims,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
    name: &str,
    addresses: &[Assigned],
) -> Result<(), String> {
    let backend = reference(ours, port);
    let places = draft.forwardable(&wanted(ours, &backend, port)).map_err(|it| it.to_string())?;
    let Some(mut places) = places else {
        return proxied::serve(draft, ours, wishes, port, name.to_owned(), addresses);
    };
    places.retain(|it| is_near(it, wishes));
    let mode = mode(draft, ours, wishes, port, &places);
    let health = health(draft, ours, wishes, port);
    for is_ipv4 in [true, false] {
        let of_family = addresses.iter().filter(|it| it.address.is_ipv4() == is_ipv4);
        let vip =
            |it: &Assigned| Vip { address: it.address, port: port.number, protocol: port.protocol };
        let vips: BTreeSet<Vip> = of_family.map(vip).collect();
        if vips.is_empty() {
            continue;
        }
        let backends = backends(vec![(1, places.clone())], is_ipv4, port.protocol == Protocol::Udp);
        claims.count_backends(vips.len() * backends.len())?;
        claims.count_sources(vips.len() * wishes.sources.len())?;
        let mut service = forwarding(vips, backends, mode);
        service.sources = wishes.sources.iter().copied().collect();
        service.affinity = wishes.affinity;
        service.udp = wishes.udp;
        service.health.clone_from(&health);
        if let Some(timeout) = wishes.idle_timeout {
            service.idle_timeout = timeout;
        }
        let name = if is_ipv4 { name.to_owned() } else { format!("{name} +ipv6") };
        draft.desired.services.insert(fitted(name), service);
    }
    Ok(())
}

/// Whether an endpoint may be used with `externalTrafficPolicy: Local`.
pub(super) fn is_near(place: &Place<'_>, wishes: &Wishes) -> bool {
    let node = place.endpoint.and_then(|it| it.node_name.as_ref());
    wishes.node.is_none() || node == wishes.node.as_ref()
}

/// The probe of a port, if it can be one: nothing here speaks SCTP.
fn health(
    draft: &mut Draft<'_>,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
) -> Option<HealthCheck> {
    let health = wishes.health.as_ref()?;
    let (Probe::Tcp { port: other } | Probe::Http { port: other, .. }) = &health.probe;
    if port.protocol == Protocol::Sctp && other.is_none() {
        let message =
            format!("port {} is of SCTP, which is not probed: add health-port", port.number);
        super::warn(draft, ours, "InvalidAnnotation", &message);
        return None;
    }
    Some(health.clone())
}

/// The mode, if endpoints have the port: else ports are translated.
fn mode(
    draft: &mut Draft<'_>,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
    places: &[Place<'_>],
) -> ForwardingMode {
    let other = places.iter().find(|it| it.port != port.number);
    match (wishes.mode, other) {
        (mode @ (ForwardingMode::L2dsr | ForwardingMode::Tunnel), Some(place)) => {
            let mode = match mode {
                ForwardingMode::Tunnel => "tunnel",
                _ => "l2dsr",
            };
            let message = format!(
                "port {} leads to {} of {}, which mode {mode} cannot translate: it is served with nat",
                port.number, place.port, place.name
            );
            super::warn(draft, ours, "ModeNotUsable", &message);
            ForwardingMode::Nat
        }
        (mode, _) => mode,
    }
}
