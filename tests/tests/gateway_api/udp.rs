//! UDPRoute.

use super::scene::{PARENT, space};
use lb_tests::{
    conformance::{
        Case,
        Feature::{ReferenceGrant, UDPRoute},
        LIMIT, Space, Speaks,
    },
    wait::eventually,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::provisional("UDPRoute", "udp_route", &[UDPRoute]),
    Case::provisional(
        "UDPRouteInvalidBackendRefNonexistent",
        "udp_route_invalid_backend_ref_nonexistent",
        &[UDPRoute],
    ),
    Case::provisional(
        "UDPRouteInvalidCrossNamespaceBackendRef",
        "udp_route_invalid_cross_namespace_backend_ref",
        &[UDPRoute, ReferenceGrant],
    ),
    Case::provisional(
        "UDPRouteMultipleRoutesAttachment",
        "udp_route_multiple_routes_attachment",
        &[UDPRoute],
    ),
    Case::provisional(
        "UDPRouteNotAllowedByListeners",
        "udp_route_not_allowed_by_listeners",
        &[UDPRoute],
    ),
    Case::provisional(
        "UDPRouteParentRefAttachAllListeners",
        "udp_route_parent_ref_attach_all_listeners",
        &[UDPRoute],
    ),
    Case::provisional(
        "UDPRouteParentRefPortAndSectionName",
        "udp_route_parent_ref_port_and_section_name",
        &[UDPRoute],
    ),
    Case::provisional(
        "UDPRouteReferenceGrant",
        "udp_route_reference_grant",
        &[UDPRoute, ReferenceGrant],
    ),
    Case::provisional("UDPRouteWeightedRouting", "udp_route_weighted_routing", &[UDPRoute]),
];

const UDP: &str = "[{name: udp, port: 9000, protocol: UDP}]";
const THREE: &str = "[{name: a, port: 9001, protocol: UDP}, {name: b, port: 9002, protocol: UDP}, {name: \
                     c, port: 9003, protocol: UDP}]";

/// A space with backends that answer datagrams.
fn datagrams(name: &str, backends: &[&str]) -> Space {
    let mut space = space(name, &[]);
    for backend in backends {
        space.backends_speaking(backend, 1, &Speaks::Datagrams, "");
    }
    space
}

/// Waits until a datagram is answered by nobody.
fn no_answer(space: &Space, address: IpAddr) {
    let lost = eventually(LIMIT, "nobody answers", || {
        space.suite().datagram_soon(address, 9000, "ping").err()
    });
    lost.unwrap();
}

#[test]
fn udp_route() {
    let space = datagrams("udp", &["echo"]);
    space.gateway("gateway", UDP);
    space.attach("UDPRoute", "route", PARENT, "", "echo");
    space.route_condition("UDPRoute", "route", "Accepted", "True", "Accepted");
    space.datagram_from(space.address("gateway"), 9000, "echo");
}

#[test]
fn udp_route_invalid_backend_ref_nonexistent() {
    let space = datagrams("udp-missing", &[]);
    space.gateway("gateway", UDP);
    space.attach("UDPRoute", "route", PARENT, "", "nobody");
    space.route_condition("UDPRoute", "route", "ResolvedRefs", "False", "BackendNotFound");
    no_answer(&space, space.address("gateway"));
}

/// A space with the Service `echo`, and one with a route to it.
fn apart(name: &str) -> (Space, Space, IpAddr) {
    let theirs = datagrams(&format!("{name}-theirs"), &["echo"]);
    let ours = datagrams(&format!("{name}-ours"), &[]);
    ours.gateway("gateway", UDP);
    ours.route(
        "UDPRoute",
        "route",
        &format!(
            "  parentRefs: [{PARENT}]\n  rules: [{{backendRefs: [{{name: echo, namespace: {}, port: 8080}}]}}]",
            theirs.name()
        ),
    );
    let address = ours.address("gateway");
    (ours, theirs, address)
}

#[test]
fn udp_route_invalid_cross_namespace_backend_ref() {
    let (ours, _theirs, address) = apart("udp-apart");
    ours.route_condition("UDPRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    ours.route_condition("UDPRoute", "route", "Accepted", "True", "Accepted");
    no_answer(&ours, address);
}

#[test]
fn udp_route_reference_grant() {
    let (ours, theirs, address) = apart("udp-grant");
    theirs.grant("grant", ("UDPRoute", ours.name()), ("Service", Some("echo")));
    ours.route_condition("UDPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    ours.datagram_from(address, 9000, "echo");
    theirs.delete("ReferenceGrant", "grant");
    ours.route_condition("UDPRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    no_answer(&ours, address);
}

#[test]
fn udp_route_multiple_routes_attachment() {
    let space = datagrams("udp-many", &["first", "second"]);
    space.gateway("gateway", UDP);
    // The older one is served: made in one second, the first by name.
    space.attach("UDPRoute", "a-first", PARENT, "", "first");
    space.attach("UDPRoute", "b-second", PARENT, "", "second");
    for route in ["a-first", "b-second"] {
        space.route_condition("UDPRoute", route, "Accepted", "True", "Accepted");
    }
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
    let address = space.address("gateway");
    space.datagram_from(address, 9000, "first");
    for _ in 0..10 {
        assert_eq!(space.suite().datagram(address, 9000, "x").unwrap(), "first-0 x");
    }
    space.delete("UDPRoute", "a-first");
    space.datagram_from(address, 9000, "second");
}

#[test]
fn udp_route_not_allowed_by_listeners() {
    let space = datagrams("udp-tls", &["echo"]);
    space.gateway("gateway", "[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}]");
    space.attach("UDPRoute", "route", PARENT, "", "echo");
    space.route_condition("UDPRoute", "route", "Accepted", "False", "NotAllowedByListeners");
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &0.into());
}

#[test]
fn udp_route_parent_ref_attach_all_listeners() {
    let space = datagrams("udp-all", &["echo"]);
    space.gateway("gateway", THREE);
    space.attach("UDPRoute", "route", PARENT, "", "echo");
    space.route_condition("UDPRoute", "route", "Accepted", "True", "Accepted");
    let address = space.address("gateway");
    for (place, port) in [9001, 9002, 9003].into_iter().enumerate() {
        space.datagram_from(address, port, "echo");
        space.listener_condition("gateway", place, "Accepted", "True", "Accepted");
        let path = format!("/status/listeners/{place}/attachedRoutes");
        space.value("Gateway", "gateway", &path, &1.into());
    }
}

#[test]
fn udp_route_parent_ref_port_and_section_name() {
    let space = datagrams("udp-ports", &["one", "two", "three"]);
    space.gateway("gateway", THREE);
    space.attach("UDPRoute", "one", "{name: gateway, port: 9001}", "", "one");
    space.attach("UDPRoute", "two", "{name: gateway, sectionName: b}", "", "two");
    space.attach("UDPRoute", "three", "{name: gateway, port: 9003, sectionName: c}", "", "three");
    let address = space.address("gateway");
    for (port, name) in [(9001, "one"), (9002, "two"), (9003, "three")] {
        space.route_condition("UDPRoute", name, "Accepted", "True", "Accepted");
        space.datagram_from(address, port, name);
    }
}

#[test]
fn udp_route_weighted_routing() {
    let space = datagrams("udp-weight", &["most", "some", "none"]);
    space.gateway("gateway", UDP);
    space.route(
        "UDPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: most, port: 8080, weight: 70}, \
         {name: some, port: 8080, weight: 30}, {name: none, port: 8080, weight: 0}]}]",
    );
    let address = space.address("gateway");
    for service in ["most", "some"] {
        space.datagram_from(address, 9000, service);
    }
    let mut some = 0;
    for _ in 0..400 {
        // Each is a flow of its own: it has a port of its own.
        let answer = space.suite().datagram(address, 9000, "x").unwrap();
        assert_ne!(answer, "none-0 x");
        some += u32::from(answer == "some-0 x");
    }
    // More than six standard deviations of a binomial distribution: one run of 10^10 is beyond.
    assert!((60..=180).contains(&some), "{some} of 400 where 120 are expected");
}
