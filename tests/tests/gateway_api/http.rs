//! HTTPRoute.

use lb_tests::conformance::{Ask, Suite};

/// Listeners of the most modest Gateway.
const HTTP: &str = "[{name: http, port: 80, protocol: HTTP}]";

#[test]
fn http_route_simple_same_namespace() {
    let mut space = Suite::shared().space("simple");
    space.backend("web");
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: web, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let answer = space.reaches(&Ask::get(address, 80, "any.example", "/path?x=y"), "web");
    assert_eq!(answer.asked_path(), "/path?x=y");
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
}

#[test]
fn http_route_method_matching() {
    let mut space = Suite::shared().space("method");
    space.backend("reads");
    space.backend("writes");
    space.gateway("gateway", HTTP);
    space.route("HTTPRoute", "route", "  parentRefs: [{name: gateway}]\n  rules:\n  - matches: [{method: GET}]\n    backendRefs: [{name: reads, port: 8080}]\n  - matches: [{method: POST}]\n    backendRefs: [{name: writes, port: 8080}]");
    let address = space.address("gateway");
    let ask = Ask::get(address, 80, "any.example", "/");
    space.reaches(&ask, "reads");
    space.reaches(&ask.clone().method("POST"), "writes");
    space.status(&ask.method("PUT"), 404);
}
