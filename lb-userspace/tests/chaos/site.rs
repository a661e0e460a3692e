//! What clusters hold: a handful of objects whose content tells which version of them it is, so that
//! what is programmed can be traced back.

use super::certificate;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// A kind of objects that the clusters have.
#[derive(Debug)]
pub(crate) struct KindRow {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) is_namespaced: bool,
}

const fn kind(
    name: &'static str,
    group: &'static str,
    plural: &'static str,
    is_namespaced: bool,
) -> KindRow {
    KindRow { name, group, plural, is_namespaced }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

/// All of them; each is served at version `v1`.
pub(crate) const KINDS: [KindRow; 9] = [
    kind("Namespace", "", "namespaces", false),
    kind("Service", "", "services", true),
    kind("EndpointSlice", "discovery.k8s.io", "endpointslices", true),
    kind("GatewayClass", GATEWAY_API, "gatewayclasses", false),
    kind("Gateway", GATEWAY_API, "gateways", true),
    kind("HTTPRoute", GATEWAY_API, "httproutes", true),
    kind("IngressClass", NETWORKING, "ingressclasses", false),
    kind("Ingress", NETWORKING, "ingresses", true),
    kind("Secret", "", "secrets", true),
];

/// The namespace of everything that has one.
pub(crate) const NAMESPACE: &str = "a";

/// An object of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Namespace,
    Class,
    Gateway,
    /// Of this number.
    Service(u8),
    /// Of a service, of this number.
    Slice(u8, u8),
    Route(u8),
    IngressClass,
    Ingress(u8),
    /// With a certificate, for Ingresses.
    Secret,
}

/// Numbers of services, of slices of each, of routes, and of Ingresses.
pub(crate) const SERVICES: u8 = 3;
pub(crate) const SLICES: u8 = 2;
pub(crate) const ROUTES: u8 = 3;
pub(crate) const INGRESSES: u8 = 2;

/// Versions of one object in one cluster, at most: addresses and ports have room for no more.
pub(crate) const VERSIONS_MAX: u16 = 250;

impl Id {
    /// Its place in [`KINDS`].
    pub(crate) const fn kind(self) -> usize {
        match self {
            Self::Namespace => 0,
            Self::Service(_) => 1,
            Self::Slice(..) => 2,
            Self::Class => 3,
            Self::Gateway => 4,
            Self::Route(_) => 5,
            Self::IngressClass => 6,
            Self::Ingress(_) => 7,
            Self::Secret => 8,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Namespace => NAMESPACE.to_owned(),
            Self::Class | Self::IngressClass => "lb".to_owned(),
            Self::Gateway => "web".to_owned(),
            Self::Service(number) => format!("s{number}"),
            Self::Slice(service, number) => format!("s{service}-{number}"),
            Self::Route(number) => format!("r{number}"),
            Self::Ingress(number) => format!("i{number}"),
            Self::Secret => "certificate".to_owned(),
        }
    }

    /// Any that comes, changes and goes.
    pub(crate) fn any(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(0..26) {
            0 => Self::Class,
            1 => Self::IngressClass,
            2..4 => Self::Gateway,
            4..6 => Self::Secret,
            6..10 => Self::Service(rng.u8(0..SERVICES)),
            10..17 => Self::Slice(rng.u8(0..SERVICES), rng.u8(0..SLICES)),
            17..20 => Self::Ingress(rng.u8(0..INGRESSES)),
            _ => Self::Route(rng.u8(0..ROUTES)),
        }
    }

    /// What a cluster begins with, at most.
    pub(crate) fn all() -> Vec<Self> {
        let services = (0..SERVICES).map(Self::Service);
        let slices = (0..SERVICES * SLICES).map(|it| Self::Slice(it / SLICES, it % SLICES));
        let fixed = [Self::Namespace, Self::Class, Self::Gateway, Self::IngressClass, Self::Secret];
        fixed
            .into_iter()
            .chain(services)
            .chain(slices)
            .chain((0..ROUTES).map(Self::Route))
            .chain((0..INGRESSES).map(Self::Ingress))
            .collect()
    }

    /// The object in a cluster at a version.
    pub(crate) fn object(self, cluster: u8, version: u16, rng: &mut fastrand::Rng) -> Value {
        match self {
            Self::Namespace => json!({}),
            Self::Class => {
                json!({ "spec": { "controllerName": "lb.internal/gateway-controller" } })
            }
            Self::Gateway => json!({ "spec": {
                "gatewayClassName": "lb",
                "addresses": [{ "type": "IPAddress", "value": GATEWAY_ADDRESS.to_string() }],
                "listeners": [{
                    "name": "http", "protocol": "HTTP", "port": gateway_port(cluster, version),
                }],
            } }),
            Self::Service(number) => json!({
                "metadata": { "annotations": {
                    "lb.internal/addresses": service_address(number).to_string(),
                } },
                "spec": { "type": "LoadBalancer", "ports": [
                    { "name": "http", "port": 80 },
                    { "name": "version", "port": service_port(cluster, version) },
                ] },
            }),
            Self::Slice(service, number) => {
                let address = endpoint(cluster, service, number, version);
                json!({
                    "metadata": { "labels": { "kubernetes.io/service-name": format!("s{service}") } },
                    "addressType": "IPv4",
                    "ports": [{ "name": "http", "port": 8_080 }, { "name": "version", "port": 8_081 }],
                    "endpoints": [{
                        "addresses": [address.to_string()],
                        "conditions": { "ready": rng.u8(0..4) > 0 },
                    }],
                })
            }
            Self::Route(number) => json!({ "spec": {
                "parentRefs": [{ "name": "web" }],
                "hostnames": [host('r', number, cluster, version)],
                "rules": [{ "backendRefs": [
                    { "name": format!("s{}", rng.u8(0..SERVICES)), "port": 80 },
                ] }],
            } }),
            Self::IngressClass => json!({
                "metadata": { "annotations": {
                    "lb.internal/addresses": INGRESS_ADDRESS.to_string(),
                } },
                "spec": { "controller": "lb.internal/ingress-controller" },
            }),
            Self::Ingress(number) => {
                let host = host('i', number, cluster, version);
                let service = format!("s{}", rng.u8(0..SERVICES));
                json!({ "spec": {
                    "ingressClassName": "lb",
                    "tls": [{ "hosts": [&host], "secretName": Self::Secret.name() }],
                    "rules": [{ "host": &host, "http": { "paths": [{
                        "path": "/", "pathType": "Prefix",
                        "backend": { "service": { "name": service, "port": { "number": 80 } } },
                    }] } }],
                } })
            }
            Self::Secret => json!({
                "type": "kubernetes.io/tls",
                "data": certificate::data(version),
            }),
        }
    }
}

/// The Gateway's address.
pub(crate) const GATEWAY_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// The address of Ingresses.
pub(crate) const INGRESS_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);

/// The address of a service.
pub(crate) const fn service_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1 + number)
}

/// Which service has an address.
pub(crate) fn service_at(address: Ipv4Addr) -> Option<u8> {
    (0..SERVICES).find(|number| service_address(*number) == address)
}

const PORTS: u16 = 300;

const fn service_port(cluster: u8, version: u16) -> u16 {
    1_000 + cluster as u16 * PORTS + version
}

const fn gateway_port(cluster: u8, version: u16) -> u16 {
    8_000 + cluster as u16 * PORTS + version
}

/// Cluster and version of a service's or the Gateway's port.
pub(crate) const fn of_port(port: u16) -> (u8, u16) {
    let number = if port >= 8_000 { port - 8_000 } else { port - 1_000 };
    ((number / PORTS) as u8, number % PORTS)
}

const fn endpoint(cluster: u8, service: u8, slice: u8, version: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, cluster, service * SLICES + slice, version as u8)
}

/// Cluster, slice and version of an endpoint.
pub(crate) const fn of_endpoint(address: Ipv4Addr) -> (u8, Id, u16) {
    let [_, cluster, slice, version] = address.octets();
    (cluster, Id::Slice(slice / SLICES, slice % SLICES), version as u16)
}

fn host(letter: char, number: u8, cluster: u8, version: u16) -> String {
    format!("{letter}{number}-{cluster}-{version}.example")
}

/// Route or Ingress, cluster and version of a host.
pub(crate) fn of_host(host: &str) -> Option<(Id, u8, u16)> {
    let name = host.strip_suffix(".example")?;
    let (id, rest): (fn(u8) -> Id, _) = match name.strip_prefix('r') {
        Some(rest) => (Id::Route, rest),
        None => (Id::Ingress, name.strip_prefix('i')?),
    };
    let mut parts = rest.split('-');
    let mut next = || parts.next()?.parse::<u16>().ok();
    let (number, cluster, version) = (next()?, next()?, next()?);
    Some((id(number as u8), cluster as u8, version))
}

/// Cluster of a certificate, by its name.
pub(crate) fn of_certificate(name: &str) -> Option<u8> {
    let (cluster, secret) = name.strip_prefix('c')?.split_once('/')?;
    let is_ours = secret == format!("{NAMESPACE}/{}", Id::Secret.name());
    cluster.parse().ok().filter(|_| is_ours)
}
