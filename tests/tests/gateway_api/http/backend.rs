//! Backends: their shares, their kinds of Services and what they speak.

use super::super::scene::{HTTP, PARENT, get, routed, space};
use lb_tests::{
    conformance::{
        Case,
        Feature::{HTTPRoute, HTTPRouteBackendProtocolH2C, HTTPRouteBackendProtocolWebSocket},
        LIMIT, Speaks,
    },
    wait::eventually,
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream("HTTPRouteWeight", "http_route_weight", &[HTTPRoute]),
    Case::upstream("HTTPRouteNoBackendRefs", "http_route_no_backend_refs", &[HTTPRoute]),
    Case::upstream("HTTPRouteServiceTypes", "http_route_service_types", &[HTTPRoute]),
    Case::ours("http_route_endpoints_come_and_go", &[HTTPRoute]),
    Case::ours("http_route_session_persistence", &[HTTPRoute]),
    Case::ours("http_route_to_x_backend", &[HTTPRoute]),
    Case::upstream(
        "HTTPRouteBackendProtocolH2C",
        "http_route_backend_protocol_h2c",
        &[HTTPRoute, HTTPRouteBackendProtocolH2C],
    ),
    Case::upstream(
        "HTTPRouteBackendProtocolWebSocket",
        "http_route_backend_protocol_web_socket",
        &[HTTPRoute, HTTPRouteBackendProtocolWebSocket],
    ),
];

const ALL_TO_WEB: &str = "  - backendRefs: [{name: web, port: 8080}]";

#[test]
fn http_route_weight() {
    let rules = "  - backendRefs: [{name: most, port: 8080, weight: 70}, {name: some, port: 8080, \
                 weight: 30}, {name: none, port: 8080, weight: 0}]";
    let (space, address) = routed("weight", &["most", "some", "none"], rules);
    let ask = get(address, "any.example", "/");
    for service in ["most", "some"] {
        space.reaches(&ask, service);
    }
    let mut some = 0;
    for _ in 0..400 {
        let answer = ask.once(space.suite()).unwrap();
        assert!(answer.is_from("some") || answer.is_from("most"), "{answer:?}");
        some += u32::from(answer.is_from("some"));
    }
    // More than six standard deviations of a binomial distribution: one run of 10^10 is beyond.
    assert!((60..=180).contains(&some), "{some} of 400 where 120 are expected");
}

#[test]
fn http_route_no_backend_refs() {
    let (space, address) =
        routed("nobody", &[], "  - matches: [{path: {type: PathPrefix, value: /}}]");
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    space.status(&get(address, "any.example", "/"), 500);
}

#[test]
fn http_route_service_types() {
    let rules = "  - {matches: [{path: {type: Exact, value: /own}}], backendRefs: [{name: own, port: \
                 8080}]}\n  - {matches: [{path: {type: Exact, value: /headless}}], backendRefs: [{name: \
                 headless, port: 8080}]}\n";
    let (space, address) = routed("services", &["own", "headless"], rules);
    // Slices without a controller, which are those of `backend`, and no address of the Service's.
    // A Service does not become headless: another one is made.
    space.delete("Service", "headless");
    space.apply(
        "{apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, ports: [{name: \
         main, port: 8080, protocol: TCP}]}}",
    );
    for name in ["own", "headless"] {
        space.reaches(&get(address, "any.example", &format!("/{name}")), name);
    }
}

#[test]
fn http_route_endpoints_come_and_go() {
    let (space, address) = routed("endpoints", &["web"], ALL_TO_WEB);
    let ask = get(address, "any.example", "/");
    space.reaches(&ask, "web");
    space.delete("EndpointSlice", "web-0");
    space.status(&ask, 503);
}

#[test]
fn http_route_session_persistence() {
    let mut space = space("persistence", &[]);
    space.backends_speaking("web", 3, &Speaks::Http, "");
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{sessionPersistence: {sessionName: held, type: \
         Cookie}, backendRefs: [{name: web, port: 8080}]}]",
    );
    let ask = get(space.address("gateway"), "any.example", "/");
    let first = space.ask(&ask, "a cookie is set", |it| it.header("set-cookie").is_some());
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("held="), "{cookie}");
    let backend = first.echoed.unwrap().backend;
    let held = ask.header("Cookie", &cookie);
    for _ in 0..20 {
        let answer = held.once(space.suite()).unwrap();
        assert_eq!(answer.echoed.unwrap().backend, backend);
    }
}

#[test]
fn http_route_to_x_backend() {
    let mut space = space("x-backend", &[]);
    space.backends_speaking("web", 1, &Speaks::Http, "");
    let port = space.port_of("web");
    space.apply(&format!(
        "{{apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XBackend, metadata: {{name: outside}}, spec: \
         {{type: ExternalHostname, externalHostname: {{hostname: localhost}}, port: {{port: {port}}}, protocol: HTTP}}}}"
    ));
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{group: gateway.networking.x-k8s.io, \
         kind: XBackend, name: outside}]}]",
    );
    space.reaches(&get(space.address("gateway"), "any.example", "/"), "web");
}

#[test]
fn http_route_backend_protocol_h2c() {
    let mut space = space("h2c", &[]);
    space.backends_speaking("web", 1, &Speaks::Http, "appProtocol: kubernetes.io/h2c");
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let ask = get(space.address("gateway"), "any.example", "/");
    for ask in [ask.clone(), ask.h2()] {
        let answer = space.reaches(&ask, "web");
        assert_eq!(answer.echoed.unwrap().protocol, "HTTP/2");
    }
}

#[test]
fn http_route_backend_protocol_web_socket() {
    let mut space = space("web-socket", &[]);
    space.backends_speaking("web", 1, &Speaks::Http, "appProtocol: kubernetes.io/ws");
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let address = space.address("gateway");
    let mut last = String::new();
    let echoed = eventually(LIMIT, "a WebSocket", || {
        let told = space.suite().websocket(address, 80, "any.example", "over the web");
        told.map_err(|error| last = format!("{error:#}")).ok()
    });
    assert_eq!(echoed.unwrap_or(last), "over the web");
    let plain = space.reaches(&get(address, "any.example", "/"), "web");
    assert_eq!(plain.echoed.unwrap().protocol, "HTTP/1.1");
}
