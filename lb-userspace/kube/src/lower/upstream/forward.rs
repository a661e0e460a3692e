//! Backends that packets are forwarded to, without the proxy.

use super::{BackendProblem, Place, Wanted, annotation::Annotations, chosen, external};
use crate::lower::{draft::Draft, name::fitted};
use lb_model::{Affinity, Backend, EndpointAddress, ForwardingMode, Service, UdpPolicy, Vip};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Slots of a ring: the same always, since rings that run cannot be resized. A prime; 100 slots
/// for each of 163 backends, which then share within 1 % (Maglev, NSDI 2016, section 3.4).
const RING_SLOTS: u32 = 16_381;

/// IPVS's timeout of an established TCP connection, as in the file.
const IDLE_TIMEOUT: Duration = Duration::from_mins(15);

/// The largest weight of a backend ([`Backend::weight`]).
const BACKEND_WEIGHT_MAX: u16 = 1_000;

impl<'a> Draft<'a> {
    /// The endpoints of a backend to which packets can be forwarded as they are; `None` = the
    /// proxy is needed, to resolve a name, to speak TLS or to tell the client.
    pub(in crate::lower) fn forwardable(
        &mut self,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Vec<Place<'a>>>, BackendProblem> {
        if !super::is_service(wanted.backend)? {
            return Ok(None);
        }
        let key = self.backend_port(wanted)?;
        let ports = self.service_ports(&key)?;
        let Some(first) = ports.first() else { return Ok(None) };
        let is_external = ports.iter().any(|it| external::name_of(it.service).is_some());
        let is_told = Annotations::of(first.service).proxy_protocol().is_some();
        if is_external || is_told || self.tls_policy(&key.object, Some(first.name())).is_some() {
            return Ok(None);
        }
        let mut places = Vec::new();
        for port in &ports {
            places.extend(self.places(port)?);
        }
        if places.iter().any(|it| matches!(it.address, EndpointAddress::Name(_))) {
            return Ok(None);
        }
        self.policies.note(&key.object, wanted.ancestors);
        Ok(Some(places))
    }
}

/// The backends of one family among endpoints, each lot with its share of new flows. Flows of TCP
/// stay with endpoints that take no new ones.
pub(in crate::lower) fn backends(
    lots: Vec<(u32, Vec<Place<'_>>)>,
    is_ipv4: bool,
    is_udp: bool,
) -> BTreeMap<String, Backend> {
    let mut shares: Vec<(Place<'_>, u64)> = Vec::new();
    for (share, mut places) in lots {
        places
            .retain(|it| matches!(it.address, EndpointAddress::Ip(ip) if ip.is_ipv4() == is_ipv4));
        let places = chosen(places, !is_udp);
        let taking = places.iter().filter(|it| !it.is_draining);
        let sum: u64 = taking.map(|it| u64::from(it.weight)).sum();
        for place in places {
            // Millionths of a millionth, so that nothing is lost before the largest is known.
            let part = u64::from(share) * u64::from(place.weight) * 1_000_000;
            let part = if place.is_draining { 0 } else { part.checked_div(sum).unwrap_or(0) };
            shares.push((place, part));
        }
    }
    let largest = shares.iter().map(|(_, part)| *part).max().unwrap_or(0);
    let mut backends: BTreeMap<String, Backend> = BTreeMap::new();
    for (place, part) in shares {
        let scaled = (part * u64::from(BACKEND_WEIGHT_MAX)).checked_div(largest).unwrap_or(0);
        let weight = if part > 0 { scaled.clamp(1, BACKEND_WEIGHT_MAX.into()) } else { 0 };
        let weight = u16::try_from(weight).unwrap_or(0);
        let Some((name, backend)) = backend(place, weight) else { continue };
        let known = backends.entry(name).or_insert_with(|| Backend { weight: 0, ..backend });
        known.weight = known.weight.saturating_add(weight).min(BACKEND_WEIGHT_MAX);
        known.drain &= backend.drain;
    }
    backends
}

/// A service that forwards, as it is if nobody says otherwise. Pods do not have the addresses of
/// Services, so modes in which they would need them are not chosen; nor are modes that cannot
/// translate ports, where that is needed.
pub(in crate::lower) fn forwarding(
    vips: BTreeSet<Vip>,
    backends: BTreeMap<String, Backend>,
    mode: ForwardingMode,
) -> Service {
    let needs_nat = backends.values().any(|it| vips.iter().any(|vip| it.port != Some(vip.port)));
    let mode = match mode {
        ForwardingMode::L2dsr | ForwardingMode::Tunnel if needs_nat => ForwardingMode::Nat,
        ForwardingMode::Auto => ForwardingMode::Nat,
        mode => mode,
    };
    Service {
        vips,
        sources: BTreeSet::new(),
        mode,
        affinity: Affinity::default(),
        udp: UdpPolicy::default(),
        idle_timeout: IDLE_TIMEOUT,
        ring_slots: RING_SLOTS,
        backends,
        health: None,
    }
}

fn backend(place: Place<'_>, weight: u16) -> Option<(String, Backend)> {
    let (ipv4, ipv6) = match place.address {
        EndpointAddress::Ip(std::net::IpAddr::V4(address)) => (Some(address), None),
        EndpointAddress::Ip(std::net::IpAddr::V6(address)) => (None, Some(address)),
        EndpointAddress::Name(_) => return None,
    };
    let (port, drain) = (Some(place.port), place.is_draining);
    Some((fitted(place.name), Backend { ipv4, ipv6, port, weight, drain }))
}
