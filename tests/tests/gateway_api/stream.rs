//! GRPCRoute, TLSRoute, TCPRoute and UDPRoute.

use super::http::HTTP;
use lb_tests::{
    conformance::{Ask, Speaks, Suite, Trust},
    wait::eventually,
};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn grpc_route_exact_method_matching() {
    let mut space = Suite::shared().space("grpc");
    space.backend("one");
    space.backend("two");
    space.gateway("gateway", HTTP);
    space.route(
        "GRPCRoute",
        "route",
        "  parentRefs: [{name: gateway}]
  rules:
  - matches: [{method: {service: echo.Echo, method: First}}]
    backendRefs: [{name: one, port: 8080}]
  - matches: [{method: {service: echo.Echo, method: Second}, headers: [{name: version, value: two}]}]
    backendRefs: [{name: two, port: 8080}]",
    );
    let address = space.address("gateway");
    let call = |path| Ask::call(address, 80, "any.example", path);
    let answer = space.reaches(&call("/echo.Echo/First"), "one");
    assert!(answer.trailers.contains(&("grpc-status".to_owned(), "0".to_owned())), "{answer:?}");
    space.reaches(&call("/echo.Echo/Second").header("version", "two"), "two");
    let missed = call("/echo.Echo/Second").once(space.suite()).unwrap();
    assert!(missed.echoed.is_none(), "{missed:?}");
    space.route_condition("GRPCRoute", "route", "Accepted", "True", "Accepted");
}

#[test]
fn tls_route_passthrough() {
    let mut space = Suite::shared().space("passthrough");
    let suite = space.suite();
    let config = suite.authority.issue(&["inner.example"]).unwrap().server(None).unwrap();
    space.backends_speaking("inner", 1, &Speaks::TlsLines(config), "");
    space.gateway(
        "gateway",
        "[{name: tls, port: 443, protocol: TLS, hostname: '*.example', tls: {mode: Passthrough}}]",
    );
    space.route(
        "TLSRoute",
        "route",
        "  parentRefs: [{name: gateway}]
  hostnames: [inner.example]
  rules: [{backendRefs: [{name: inner, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let trust = Trust::of(suite, "inner.example");
    let line =
        eventually(LIMIT, "the backend's line", || suite.line(address, 443, Some(&trust)).ok());
    assert_eq!(line.unwrap(), "inner-0");
    let other = Trust::of(suite, "other.example");
    assert!(suite.line(address, 443, Some(&other)).is_err());
    space.route_condition("TLSRoute", "route", "Accepted", "True", "Accepted");
}

#[test]
fn tls_route_mode_terminate() {
    let mut space = Suite::shared().space("terminate");
    let suite = space.suite();
    space.backends_speaking("inner", 1, &Speaks::Lines, "");
    space.certificate("tls", &["outer.example"]);
    space.gateway(
        "gateway",
        "[{name: tls, port: 443, protocol: TLS, tls: {mode: Terminate, certificateRefs: [{name: tls}]}}]",
    );
    space.route(
        "TLSRoute",
        "route",
        "  parentRefs: [{name: gateway}]
  hostnames: [outer.example]
  rules: [{backendRefs: [{name: inner, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let trust = Trust::of(suite, "outer.example");
    let line =
        eventually(LIMIT, "the backend's line", || suite.line(address, 443, Some(&trust)).ok());
    assert_eq!(line.unwrap(), "inner-0");
}

#[test]
fn tcp_route() {
    let mut space = Suite::shared().space("tcp");
    space.backends_speaking("lines", 1, &Speaks::Lines, "");
    space.gateway("gateway", "[{name: tcp, port: 9000, protocol: TCP}]");
    space.route(
        "TCPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: lines, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let line = eventually(LIMIT, "the line", || space.suite().line(address, 9000, None).ok());
    assert_eq!(line.unwrap(), "lines-0");
    space.route_condition("TCPRoute", "route", "Accepted", "True", "Accepted");
}

#[test]
fn udp_route() {
    let mut space = Suite::shared().space("udp");
    space.backends_speaking("datagrams", 1, &Speaks::Datagrams, "");
    space.gateway("gateway", "[{name: udp, port: 9001, protocol: UDP}]");
    space.route(
        "UDPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: datagrams, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let text =
        eventually(LIMIT, "an answer", || space.suite().datagram(address, 9001, "ping").ok());
    assert_eq!(text.unwrap(), "datagrams-0 ping");
    space.route_condition("UDPRoute", "route", "Accepted", "True", "Accepted");
}

#[test]
fn backend_tls_policy() {
    let mut space = Suite::shared().space("backend-tls");
    let suite = space.suite();
    let config = suite.authority.issue(&["inner.example"]).unwrap().server(None).unwrap();
    space.backends_speaking("secure", 1, &Speaks::Https(config), "");
    space.authority("ca");
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: secure, port: 8080}]}]",
    );
    let policy = |name: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: \
             policy}}\nspec: {{targetRefs: [{{group: '', kind: Service, name: secure}}], validation: \
             {{hostname: {name}, caCertificateRefs: [{{group: '', kind: ConfigMap, name: ca}}]}}}}"
        )
    };
    space.apply(&policy("inner.example"));
    let ask = Ask::get(space.address("gateway"), 80, "any.example", "/");
    let answer = space.reaches(&ask, "secure");
    assert!(answer.echoed.unwrap().tls);
    space.apply(&policy("wrong.example"));
    space.ask(&ask, "no answer from a backend of another name", |it| it.status >= 500);
}
