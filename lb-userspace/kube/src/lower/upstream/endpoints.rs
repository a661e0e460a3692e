//! Endpoints of a Service's port: from slices of all clusters to those that get traffic.

use super::port::PortOf;
use crate::{Options, lower::draft::Draft};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};
use lb_model::EndpointAddress;
use std::{collections::BTreeMap, net::IpAddr};

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
    /// It takes nothing new: decided by [`chosen`].
    pub(in crate::lower) is_draining: bool,
    /// How it is.
    pub(in crate::lower) health: Health,
    /// The pod, as far as the slice says: its addresses of both families are one endpoint.
    pub(in crate::lower) pod: Option<(usize, &'a str)>,
    /// Node that it runs on.
    pub(in crate::lower) node: Option<&'a str>,
}

/// Endpoints that get traffic: the ready ones, with those that end drained beside them; if none is
/// ready, those that end but still serve (as kube-proxy does it, KEP-1669).
pub(in crate::lower) fn chosen<'a>(places: Vec<Place<'a>>, _options: &Options) -> Vec<Place<'a>> {
    let is_any_ready = places.iter().any(|it| it.health == Health::Ready);
    let mut chosen: Vec<Place<'a>> =
        places.into_iter().filter(|it| it.health != Health::Unready).collect();
    for place in &mut chosen {
        place.is_draining = is_any_ready && place.health == Health::Ending;
    }
    chosen
}

impl<'a> Draft<'a> {
    /// All endpoints of a port, by name, each once: those of the Service's first family, and of
    /// pods that have none in it, those of the other.
    pub(in crate::lower) fn places(&self, ports: &[PortOf<'a>]) -> Vec<Place<'a>> {
        let mut places = Vec::new();
        for port in ports {
            places.extend(one_family(self.places_of(port), port));
        }
        places
    }

    /// Endpoints of a port in one cluster, in both families. What several slices say is one
    /// endpoint, and as well as one of them says.
    fn places_of(&self, port: &PortOf<'a>) -> Vec<Place<'a>> {
        let Some(cluster) = self.cluster(port.cluster) else { return Vec::new() };
        let key = crate::ObjectKey::of(port.service);
        let mut places: BTreeMap<String, Place<'a>> = BTreeMap::new();
        for slice in self.index.slices(port.cluster, &key) {
            let Some(number) = slice_port(slice, port) else { continue };
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(text) = endpoint.addresses.first() else { continue };
                let Some(address) = address(slice, text) else { continue };
                let place = Place {
                    name: place_name(&cluster.name, &address, number),
                    address,
                    port: number,
                    weight: cluster.weight.min(WEIGHT_MAX),
                    is_draining: false,
                    health: health(endpoint, port),
                    pod: pod(endpoint).map(|it| (port.cluster, it)),
                    node: endpoint.node_name.as_deref(),
                };
                let known = places.entry(place.name.clone()).or_insert_with(|| place.clone());
                if place.health < known.health {
                    *known = place;
                }
            }
        }
        places.into_values().collect()
    }
}

/// `CLUSTER/ADDRESS:PORT`.
pub(in crate::lower) fn place_name(cluster: &str, address: &EndpointAddress, port: u16) -> String {
    match address {
        EndpointAddress::Ip(address) => {
            format!("{cluster}/{}", std::net::SocketAddr::new(*address, port))
        }
        EndpointAddress::Name(name) => format!("{cluster}/{name}:{port}"),
    }
}

/// The number that a slice gives to a Service's port: by the port's name and protocol.
fn slice_port(slice: &EndpointSlice, port: &PortOf<'_>) -> Option<u16> {
    let name = port.spec.name.as_deref().unwrap_or_default();
    let found = slice.ports.iter().flatten().find(|it| {
        it.name.as_deref().unwrap_or_default() == name
            && it.protocol.as_deref().unwrap_or("TCP") == port.transport()
    })?;
    match found.port {
        Some(number) => u16::try_from(number).ok().filter(|it| *it > 0),
        None => port.target(),
    }
}

/// The address, if it is of the kind that the slice says.
fn address(slice: &EndpointSlice, text: &str) -> Option<EndpointAddress> {
    let address = text.parse::<IpAddr>();
    match (slice.address_type.as_str(), address) {
        ("IPv4", Ok(address)) if address.is_ipv4() => Some(EndpointAddress::Ip(address)),
        ("IPv6", Ok(address)) if address.is_ipv6() => Some(EndpointAddress::Ip(address)),
        _ => None,
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

fn pod(endpoint: &Endpoint) -> Option<&str> {
    let target = endpoint.target_ref.as_ref()?;
    target.uid.as_deref().or(target.name.as_deref())
}

/// Leaves each pod one address: of the Service's first family, if it has one.
fn one_family<'a>(mut places: Vec<Place<'a>>, port: &PortOf<'_>) -> Vec<Place<'a>> {
    let families = port.service.spec.as_ref().and_then(|it| it.ip_families.as_ref());
    let is_ipv6_first = families.and_then(|it| it.first()).is_some_and(|it| it == "IPv6");
    let is_first = |it: &Place<'_>| match it.address {
        EndpointAddress::Ip(address) => address.is_ipv6() == is_ipv6_first,
        EndpointAddress::Name(_) => true,
    };
    let pods: std::collections::BTreeSet<_> =
        places.iter().filter(|it| is_first(it)).filter_map(|it| it.pod).collect();
    places.retain(|it| is_first(it) || it.pod.is_none_or(|pod| !pods.contains(&pod)));
    places
}
