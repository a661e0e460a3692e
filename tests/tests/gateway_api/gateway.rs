//! Gateways, whatever their routes.

use lb_tests::conformance::{Ask, Suite};

/// Listeners of the most modest Gateway.
const HTTP: &str = "[{name: http, port: 80, protocol: HTTP}]";

#[test]
fn gateway_port_8080() {
    let mut space = Suite::shared().space("port-8080");
    space.backend("web");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}]",
    );
    space.route("HTTPRoute", "route", "  parentRefs: [{name: gateway, sectionName: more}]\n  rules: [{backendRefs: [{name: web, port: 8080}]}]");
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 8080, "any.example", "/"), "web");
    space.status(&Ask::get(address, 80, "any.example", "/"), 404);
}

#[test]
fn gateway_with_attached_routes() {
    let mut space = Suite::shared().space("attached");
    space.backend("web");
    space.gateway("gateway", HTTP);
    for name in ["one", "two"] {
        space.route(
            "HTTPRoute",
            name,
            "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: web, port: 8080}]}]",
        );
        space.route_condition("HTTPRoute", name, "Accepted", "True", "Accepted");
    }
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
}
