//! What to probe, derived from the desired state.

use crate::model::{Desired, EndpointAddress, HealthCheck, Probe, Proxy, Service};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

/// Names of a service and one of its backends.
pub type Key = (String, String);

/// One backend to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The backend's own addresses that its service's VIPs use: one, or one of each family. All
    /// of them must pass, since `down` is said of a backend, not of an address.
    pub addresses: BTreeSet<SocketAddr>,
    /// How, how often, and with which thresholds.
    pub check: HealthCheck,
}

/// All targets of `desired`: every backend of every service with a health check and a port to
/// probe. A service whose VIPs are all-ports needs the port in its check or its backends.
pub fn targets(desired: &Desired) -> BTreeMap<Key, Target> {
    let mut targets = BTreeMap::new();
    for (name, service) in &desired.services {
        let Some(check) = &service.health else { continue };
        for (backend, addresses) in service_addresses(service, check) {
            let target = Target { addresses, check: check.clone() };
            targets.insert((name.clone(), backend), target);
        }
    }
    targets
}

/// All endpoints of upstreams with a health check, by upstream and endpoint. Those that DNS knows
/// are not probed: their addresses change without the configuration. Where TLS is spoken, only
/// the connection is probed.
pub fn endpoint_targets(proxy: &Proxy) -> BTreeMap<Key, Target> {
    let mut targets = BTreeMap::new();
    for (name, upstream) in &proxy.upstreams {
        let Some(mut check) = upstream.health.clone() else { continue };
        let (Probe::Tcp { port } | Probe::Http { port, .. }) = check.probe;
        if upstream.tls.is_some() {
            check.probe = Probe::Tcp { port };
        }
        for (endpoint, model) in &upstream.endpoints {
            let EndpointAddress::Ip(address) = model.address else { continue };
            let addresses = [SocketAddr::new(address, port.unwrap_or(model.port))].into();
            let target = Target { addresses, check: check.clone() };
            targets.insert((name.clone(), endpoint.clone()), target);
        }
    }
    targets
}

fn service_addresses(
    service: &Service,
    check: &HealthCheck,
) -> BTreeMap<String, BTreeSet<SocketAddr>> {
    let (Probe::Tcp { port: check_port } | Probe::Http { port: check_port, .. }) = &check.probe;
    let vip_port = service.vips.iter().map(|vip| vip.port).find(|port| *port != 0);
    let mut found = BTreeMap::new();
    for (name, backend) in &service.backends {
        let Some(port) = check_port.or(backend.port).or(vip_port) else { continue };
        let used: BTreeSet<IpAddr> =
            service.vips.iter().filter_map(|vip| backend.address_for(vip.address)).collect();
        let addresses = used.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        found.insert(name.clone(), addresses);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::test_service::{backend, service, tcp_check};

    fn desired(service: Service) -> Desired {
        Desired { services: [("web".into(), service)].into(), ..Desired::default() }
    }

    fn only(desired: &Desired) -> Vec<String> {
        let targets = targets(desired);
        targets.values().flat_map(|t| t.addresses.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_service_without_a_check_has_no_targets() {
        let service = service(&["192.0.2.1:80"], [("a", backend(Some("10.0.0.1"), None))]);
        assert!(targets(&desired(service)).is_empty());
    }

    #[test]
    fn the_port_is_the_checks_or_the_backends_or_the_vips() {
        let mut service = service(&["192.0.2.1:80"], [("a", backend(Some("10.0.0.1"), None))]);
        service.health = Some(tcp_check(None));
        assert_eq!(only(&desired(service.clone())), ["10.0.0.1:80"]);
        service.backends.get_mut("a").unwrap().port = Some(8080);
        assert_eq!(only(&desired(service.clone())), ["10.0.0.1:8080"]);
        service.health = Some(tcp_check(Some(9000)));
        assert_eq!(only(&desired(service)), ["10.0.0.1:9000"]);
    }

    #[test]
    fn only_the_families_that_the_vips_use_are_probed() {
        let both = backend(Some("10.0.0.1"), Some("2001:db8::1"));
        let mut v4 = service(&["192.0.2.1:80"], [("a", both.clone())]);
        v4.health = Some(tcp_check(None));
        assert_eq!(only(&desired(v4)), ["10.0.0.1:80"]);
        let mut dual = service(&["192.0.2.1:80", "[2001:db8::10]:80"], [("a", both)]);
        dual.health = Some(tcp_check(None));
        assert_eq!(only(&desired(dual)), ["10.0.0.1:80", "[2001:db8::1]:80"]);
    }

    #[test]
    fn without_any_port_there_is_nothing_to_probe() {
        let mut service = service(&["192.0.2.1:0"], [("a", backend(Some("10.0.0.1"), None))]);
        service.health = Some(tcp_check(None));
        assert!(targets(&desired(service)).is_empty());
    }
}
