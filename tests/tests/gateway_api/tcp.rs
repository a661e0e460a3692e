//! TCPRoute.

use super::scene::{PARENT, space};
use lb_tests::conformance::{
    Case,
    Feature::{ReferenceGrant, TCPRoute},
    Space, Speaks,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::provisional(
        "TCPRouteInvalidBackendRefNonexistent",
        "tcp_route_invalid_backend_ref_nonexistent",
        &[TCPRoute],
    ),
    Case::provisional(
        "TCPRouteInvalidCrossNamespaceBackendRef",
        "tcp_route_invalid_cross_namespace_backend_ref",
        &[TCPRoute, ReferenceGrant],
    ),
    Case::provisional(
        "TCPRouteInvalidNonTCPListener",
        "tcp_route_invalid_non_tcp_listener",
        &[TCPRoute],
    ),
    Case::upstream(
        "TCPRouteMultipleRoutesAttachment",
        "tcp_route_multiple_routes_attachment",
        &[TCPRoute],
    ),
    Case::provisional("TCPRouteParentRefAttachAll", "tcp_route_parent_ref_attach_all", &[TCPRoute]),
    Case::provisional(
        "TCPRouteParentRefPortAndSectionName",
        "tcp_route_parent_ref_port_and_section_name",
        &[TCPRoute],
    ),
    Case::provisional(
        "TCPRouteReferenceGrant",
        "tcp_route_reference_grant",
        &[TCPRoute, ReferenceGrant],
    ),
    Case::provisional("TCPRouteWeightedRouting", "tcp_route_weighted_routing", &[TCPRoute]),
];

const TCP: &str = "[{name: tcp, port: 9000, protocol: TCP}]";
const THREE: &str = "[{name: a, port: 9001, protocol: TCP}, {name: b, port: 9002, protocol: TCP}, {name: \
                     c, port: 9003, protocol: TCP}]";

/// A space with backends that say their name to who connects.
fn lines(name: &str, backends: &[&str]) -> Space {
    let mut space = space(name, &[]);
    for backend in backends {
        space.backends_speaking(backend, 1, &Speaks::Lines, "");
    }
    space
}

#[test]
fn tcp_route_invalid_backend_ref_nonexistent() {
    let space = lines("tcp-missing", &[]);
    space.gateway("gateway", TCP);
    space.attach("TCPRoute", "route", PARENT, "", "nobody");
    space.route_condition("TCPRoute", "route", "ResolvedRefs", "False", "BackendNotFound");
    space.no_line(space.address("gateway"), 9000, None);
}

/// A space with the Service `lines`, and one with a route to it.
fn apart(name: &str) -> (Space, Space, IpAddr) {
    let theirs = lines(&format!("{name}-theirs"), &["lines"]);
    let ours = lines(&format!("{name}-ours"), &[]);
    ours.gateway("gateway", TCP);
    ours.route(
        "TCPRoute",
        "route",
        &format!(
            "  parentRefs: [{PARENT}]\n  rules: [{{backendRefs: [{{name: lines, namespace: {}, port: 8080}}]}}]",
            theirs.name()
        ),
    );
    let address = ours.address("gateway");
    (ours, theirs, address)
}

#[test]
fn tcp_route_invalid_cross_namespace_backend_ref() {
    let (ours, _theirs, address) = apart("tcp-apart");
    ours.route_condition("TCPRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    ours.route_condition("TCPRoute", "route", "Accepted", "True", "Accepted");
    ours.no_line(address, 9000, None);
}

#[test]
fn tcp_route_reference_grant() {
    let (ours, theirs, address) = apart("tcp-grant");
    theirs.grant("grant", ("TCPRoute", ours.name()), ("Service", Some("lines")));
    ours.route_condition("TCPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    ours.line_from(address, 9000, None, "lines");
    theirs.delete("ReferenceGrant", "grant");
    ours.route_condition("TCPRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    ours.no_line(address, 9000, None);
}

#[test]
fn tcp_route_invalid_non_tcp_listener() {
    let space = lines("tcp-http", &["lines"]);
    space.gateway(
        "gateway",
        "[{name: http, port: 5300, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}]}}]",
    );
    space.attach("TCPRoute", "route", "{name: gateway, sectionName: http}", "", "lines");
    space.route_condition("TCPRoute", "route", "Accepted", "False", "NotAllowedByListeners");
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &0.into());
}

#[test]
fn tcp_route_multiple_routes_attachment() {
    let space = lines("tcp-many", &["first", "second"]);
    space.gateway("gateway", TCP);
    // The older one is served: made in one second, the first by name.
    space.attach("TCPRoute", "a-first", PARENT, "", "first");
    space.attach("TCPRoute", "b-second", PARENT, "", "second");
    for route in ["a-first", "b-second"] {
        space.route_condition("TCPRoute", route, "Accepted", "True", "Accepted");
    }
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
    let address = space.address("gateway");
    space.line_from(address, 9000, None, "first");
    for _ in 0..10 {
        assert_eq!(space.suite().line(address, 9000, None).unwrap(), "first-0");
    }
    space.delete("TCPRoute", "a-first");
    space.line_from(address, 9000, None, "second");
}

#[test]
fn tcp_route_parent_ref_attach_all() {
    let space = lines("tcp-all", &["lines"]);
    space.gateway("gateway", THREE);
    space.attach("TCPRoute", "route", PARENT, "", "lines");
    space.route_condition("TCPRoute", "route", "Accepted", "True", "Accepted");
    let address = space.address("gateway");
    for (place, port) in [9001, 9002, 9003].into_iter().enumerate() {
        space.line_from(address, port, None, "lines");
        let path = format!("/status/listeners/{place}/attachedRoutes");
        space.value("Gateway", "gateway", &path, &1.into());
    }
}

#[test]
fn tcp_route_parent_ref_port_and_section_name() {
    let space = lines("tcp-ports", &["one", "two", "three"]);
    space.gateway("gateway", THREE);
    space.attach("TCPRoute", "one", "{name: gateway, port: 9001}", "", "one");
    space.attach("TCPRoute", "two", "{name: gateway, sectionName: b}", "", "two");
    space.attach("TCPRoute", "three", "{name: gateway, port: 9003, sectionName: c}", "", "three");
    let address = space.address("gateway");
    for (port, name) in [(9001, "one"), (9002, "two"), (9003, "three")] {
        space.route_condition("TCPRoute", name, "Accepted", "True", "Accepted");
        space.line_from(address, port, None, name);
    }
}

#[test]
fn tcp_route_weighted_routing() {
    let space = lines("tcp-weight", &["most", "some", "none"]);
    space.gateway("gateway", TCP);
    space.route(
        "TCPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: most, port: 8080, weight: 70}, \
         {name: some, port: 8080, weight: 30}, {name: none, port: 8080, weight: 0}]}]",
    );
    let address = space.address("gateway");
    for service in ["most", "some"] {
        space.line_from(address, 9000, None, service);
    }
    let mut some = 0;
    for _ in 0..400 {
        let line = space.suite().line(address, 9000, None).unwrap();
        assert_ne!(line, "none-0");
        some += u32::from(line == "some-0");
    }
    // More than six standard deviations of a binomial distribution: one run of 10^10 is beyond.
    assert!((60..=180).contains(&some), "{some} of 400 where 120 are expected");
}
