//! Endpoints of a Service's port: from slices of all clusters to those that get traffic.

use super::{
    BackendProblem, external,
    port::PortOf,
    topology::{self, Distance},
};
use crate::{ObjectKey, lower::draft::Draft};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};
use lb_model::EndpointAddress;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

/// The largest weight of an endpoint ([`lb_model::Endpoint::weight`]).
const WEIGHT_MAX: u16 = 1_000;

/// How an endpoint is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) enum Health {
    /// It takes traffic.
    Ready,
    /// It ends, but still serves: it takes traffic if nothing is ready (KEP-1669).
    Ending,
    /// It ends and serves no more, or is not ready yet or for a while. It takes nothing new.
    Unready,
}

/// An endpoint of a Service's port.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Place<'a> {
    /// Name in `Desired`.
    pub(in crate::lower) name: String,
    /// Where.
    pub(in crate::lower) address: EndpointAddress,
    /// Port.
    pub(in crate::lower) port: u16,
    /// Share, by the cluster's.
    pub(in crate::lower) weight: u16,
    /// How it is.
    pub(in crate::lower) health: Health,
    /// How far it is.
    pub(in crate::lower) distance: Distance,
    /// It takes nothing new: decided by [`chosen`].
    pub(in crate::lower) is_draining: bool,
    /// What the slice says; `None` = it is of no slice.
    pub(in crate::lower) endpoint: Option<&'a Endpoint>,
}

impl<'a> Place<'a> {
    /// The pod, as far as the slice says: its addresses of both families are one endpoint.
    pub(in crate::lower) fn pod(&self) -> Option<&'a str> {
        let target = self.endpoint?.target_ref.as_ref()?;
        target.uid.as_deref().or(target.name.as_deref())
    }
}

/// Endpoints that get traffic: the nearest of the ready ones; if none is ready, of those that end
/// but still serve (as kube-proxy does it, KEP-1669). Beside them, drained, those that end but
/// still serve, and with `keeps_flows` all others that there are.
pub(in crate::lower) fn chosen(mut places: Vec<Place<'_>>, keeps_flows: bool) -> Vec<Place<'_>> {
    let best = places.iter().map(|it| it.health).min().filter(|it| *it != Health::Unready);
    let nearest = places.iter().filter(|it| Some(it.health) == best).map(|it| it.distance).min();
    for place in &mut places {
        place.is_draining = Some(place.health) != best || Some(place.distance) != nearest;
    }
    places.retain(|it| keeps_flows || !it.is_draining || it.health == Health::Ending);
    places
}

impl<'a> Draft<'a> {
    /// All endpoints of a port in one cluster, in both families, by name. What several slices say
    /// is one endpoint, and as well as one of them says.
    pub(in crate::lower) fn places(
        &self,
        port: &PortOf<'a>,
    ) -> Result<Vec<Place<'a>>, BackendProblem> {
        let Some(cluster) = self.cluster(port.cluster) else { return Ok(Vec::new()) };
        let mut places: BTreeMap<String, Place<'a>> = BTreeMap::new();
        for slice in self.index.slices(port.cluster, &ObjectKey::of(port.service)) {
            let Some(number) = slice_port(slice, port) else { continue };
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(text) = endpoint.addresses.first() else { continue };
                let Some(address) = self.slice_address(slice, text)? else { continue };
                let place = Place {
                    name: place_name(&cluster.name, &address, number),
                    address,
                    port: number,
                    weight: cluster.weight.min(WEIGHT_MAX),
                    health: health(endpoint, port),
                    distance: Distance::default(),
                    is_draining: false,
                    endpoint: Some(endpoint),
                };
                let known = places.entry(place.name.clone()).or_insert_with(|| place.clone());
                if place.health < known.health {
                    *known = place;
                }
            }
        }
        let mut places: Vec<Place<'a>> = places.into_values().collect();
        let distribution =
            port.service.spec.as_ref().and_then(|it| it.traffic_distribution.as_deref());
        topology::measure(&mut places, distribution, &self.world.options);
        Ok(places)
    }

    /// An address, if it is of the kind that the slice says.
    fn slice_address(
        &self,
        slice: &EndpointSlice,
        text: &str,
    ) -> Result<Option<EndpointAddress>, BackendProblem> {
        let address = text.parse::<IpAddr>().ok();
        Ok(match (slice.address_type.as_str(), address) {
            ("IPv4", Some(address)) if address.is_ipv4() => Some(EndpointAddress::Ip(address)),
            ("IPv6", Some(address)) if address.is_ipv6() => Some(EndpointAddress::Ip(address)),
            ("FQDN", None) => {
                Some(EndpointAddress::Name(external::allowed(text, &self.world.options)?))
            }
            _ => None,
        })
    }
}

/// Leaves each pod one address: of the Service's first family, if it has one.
pub(super) fn one_family<'a>(mut places: Vec<Place<'a>>, port: &PortOf<'_>) -> Vec<Place<'a>> {
    let families = port.service.spec.as_ref().and_then(|it| it.ip_families.as_ref());
    let is_ipv6_first = families.and_then(|it| it.first()).is_some_and(|it| it == "IPv6");
    let is_first = |it: &Place<'_>| match it.address {
        EndpointAddress::Ip(address) => address.is_ipv6() == is_ipv6_first,
        EndpointAddress::Name(_) => true,
    };
    let pods: BTreeSet<&str> =
        places.iter().filter(|it| is_first(it)).filter_map(Place::pod).collect();
    places.retain(|it| is_first(it) || it.pod().is_none_or(|pod| !pods.contains(pod)));
    places
}

/// `CLUSTER/ADDRESS:PORT`.
pub(super) fn place_name(cluster: &str, address: &EndpointAddress, port: u16) -> String {
    match address {
        EndpointAddress::Ip(address) => format!("{cluster}/{}", SocketAddr::new(*address, port)),
        EndpointAddress::Name(name) => format!("{cluster}/{name}:{port}"),
    }
}

/// The number that a slice gives to a Service's port: by the port's name and protocol.
fn slice_port(slice: &EndpointSlice, port: &PortOf<'_>) -> Option<u16> {
    let name = port.name();
    let found = slice.ports.iter().flatten().find(|it| {
        it.name.as_deref().unwrap_or_default() == name
            && it.protocol.as_deref().unwrap_or("TCP") == port.transport()
    })?;
    match found.port {
        Some(number) => u16::try_from(number).ok().filter(|it| *it > 0),
        None => port.target(),
    }
}

/// How an endpoint is. What is not said means: ready, serving, not terminating (Kubernetes,
/// EndpointSlice v1). `publishNotReadyAddresses` has all of that disregarded.
fn health(endpoint: &Endpoint, port: &PortOf<'_>) -> Health {
    let spec = port.service.spec.as_ref();
    if spec.and_then(|it| it.publish_not_ready_addresses) == Some(true) {
        return Health::Ready;
    }
    let Some(EndpointConditions { ready, serving, terminating }) = &endpoint.conditions else {
        return Health::Ready;
    };
    if ready.unwrap_or(true) {
        Health::Ready
    } else if terminating.unwrap_or(false) && serving.unwrap_or(true) {
        Health::Ending
    } else {
        Health::Unready
    }
}
