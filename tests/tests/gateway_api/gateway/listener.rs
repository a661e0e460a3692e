//! Listeners: what they may say, and what is said of them.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{GatewayHTTPListenerIsolation, GatewayPort8080, HTTPRoute},
};
use serde_json::json;

pub(crate) const CASES: &[Case] = &[
    Case::upstream("GatewayInvalidParametersRef", "gateway_invalid_parameters_ref", &[]),
    Case::upstream("GatewayInvalidRouteKind", "gateway_invalid_route_kind", &[]),
    Case::upstream(
        "GatewayListenerUnsupportedProtocol",
        "gateway_listener_unsupported_protocol",
        &[],
    ),
    Case::upstream("GatewayModifyListeners", "gateway_modify_listeners", &[]),
    Case::upstream("GatewayObservedGenerationBump", "gateway_observed_generation_bump", &[]),
    Case::upstream(
        "GatewayClassObservedGenerationBump",
        "gateway_class_observed_generation_bump",
        &[],
    ),
    Case::upstream("GatewayWithAttachedRoutes", "gateway_with_attached_routes", &[HTTPRoute]),
    Case::upstream(
        "GatewayWithAttachedRoutesWithPort8080",
        "gateway_with_attached_routes_with_port_8080",
        &[GatewayPort8080, HTTPRoute],
    ),
    Case::ours("gateway_name_maximum_length", &[HTTPRoute]),
    Case::ours("gateway_port_8080", &[GatewayPort8080, HTTPRoute]),
    Case::upstream(
        "GatewayHTTPListenerIsolation",
        "gateway_http_listener_isolation",
        &[GatewayHTTPListenerIsolation, HTTPRoute],
    ),
];

const ROUTE_KIND: &str = "gateway.networking.k8s.io";

#[test]
fn gateway_invalid_parameters_ref() {
    let space = space("parameters", &[]);
    space.gateway_as(
        "gateway",
        &format!(
            "infrastructure: {{parametersRef: {{group: made.up, kind: Thing, name: it}}}}, listeners: {HTTP}"
        ),
    );
    space.gateway_condition("gateway", "Accepted", "False", "InvalidParameters");
}

#[test]
fn gateway_invalid_route_kind() {
    let space = space("kinds", &[]);
    let listener = |kinds: &str| {
        format!("[{{name: http, port: 80, protocol: HTTP, allowedRoutes: {{kinds: [{kinds}]}}}}]")
    };
    space.gateway("only", &listener("{kind: MadeUp}"));
    space.listener_condition("only", 0, "ResolvedRefs", "False", "InvalidRouteKinds");
    space.takes_no_kinds("Gateway", "only", 0);
    space.gateway("mixed", &listener("{kind: MadeUp}, {kind: HTTPRoute}"));
    space.listener_condition("mixed", 0, "ResolvedRefs", "False", "InvalidRouteKinds");
    let kinds = json!([{ "group": ROUTE_KIND, "kind": "HTTPRoute" }]);
    space.value("Gateway", "mixed", "/status/listeners/0/supportedKinds", &kinds);
}

#[test]
fn gateway_listener_unsupported_protocol() {
    let space = space("protocols", &[]);
    space.gateway("none", "[{name: odd, port: 80, protocol: example.com/odd}]");
    space.gateway_condition("none", "Accepted", "False", "ListenersNotValid");
    space.listener_condition("none", 0, "Accepted", "False", "UnsupportedProtocol");
    space.takes_no_kinds("Gateway", "none", 0);
    space.gateway(
        "some",
        "[{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}]}}, {name: \
         odd, port: 81, protocol: example.com/odd}]",
    );
    space.gateway_condition("some", "Accepted", "True", "ListenersNotValid");
    space.listener_condition("some", 0, "Accepted", "True", "Accepted");
    space.listener_condition("some", 1, "Accepted", "False", "UnsupportedProtocol");
}

#[test]
fn gateway_modify_listeners() {
    let space = space("modify", &["web"]);
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let address = space.address("gateway");
    space.reaches(&get(address, "any.example", "/"), "web");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8081, protocol: HTTP}]",
    );
    space.reaches(&Ask::get(address, 8081, "any.example", "/"), "web");
    space.listener_condition("gateway", 1, "Programmed", "True", "Programmed");
    space.value("Gateway", "gateway", "/status/listeners/1/attachedRoutes", &1.into());
    space.gateway("gateway", "[{name: more, port: 8081, protocol: HTTP}]");
    space.value("Gateway", "gateway", "/status/listeners/0/name", &"more".into());
    space.no_line(address, 80, None);
    space.reaches(&Ask::get(address, 8081, "any.example", "/"), "web");
}

#[test]
fn gateway_observed_generation_bump() {
    let space = space("generation", &[]);
    space.gateway("gateway", HTTP);
    space.gateway_condition("gateway", "Programmed", "True", "Programmed");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}]",
    );
    // Conditions hold only if they are about the object's generation.
    space.value("Gateway", "gateway", "/metadata/generation", &2.into());
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
    space.gateway_condition("gateway", "Programmed", "True", "Programmed");
    space.listener_condition("gateway", 1, "Programmed", "True", "Programmed");
}

#[test]
fn gateway_class_observed_generation_bump() {
    let space = space("class", &[]);
    let name = space.name().to_owned();
    let class = |description: &str| {
        space.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: {name}}}\n\
             spec: {{controllerName: lb.internal/gateway-controller, description: {description}}}"
        ));
    };
    class("one");
    space.class_condition(&name, "Accepted", "True", "Accepted");
    class("two");
    space.class_condition(&name, "Accepted", "True", "Accepted");
    space.class_condition(&name, "SupportedVersion", "True", "SupportedVersion");
    space.suite().server.delete("GatewayClass", &name).unwrap();
}

#[test]
fn gateway_with_attached_routes() {
    let space = space("attached", &["web"]);
    space.gateway("gateway", "[{name: http, port: 80, protocol: HTTP, hostname: a.example}]");
    space.attach("HTTPRoute", "one", PARENT, "", "web");
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &1.into());
    space.attach("HTTPRoute", "two", PARENT, "a.example", "web");
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
    space.attach("HTTPRoute", "other", PARENT, "b.example", "web");
    let reason = "NoMatchingListenerHostname";
    space.route_condition("HTTPRoute", "other", "Accepted", "False", reason);
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
    space.delete("HTTPRoute", "two");
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &1.into());
    // Routes are counted where the listener itself cannot be served.
    space.gateway(
        "broken",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]}}]",
    );
    space.attach("HTTPRoute", "astray", "{name: broken}", "", "web");
    space.value("Gateway", "broken", "/status/listeners/0/attachedRoutes", &1.into());
    space.listener_condition("broken", 0, "ResolvedRefs", "False", "InvalidCertificateRef");
    space.listener_condition("broken", 0, "Programmed", "False", "Invalid");
}

/// The longest name that an object may have.
const NAME_BYTES_MAX: usize = 253;

#[test]
fn gateway_name_maximum_length() {
    let space = space("long-name", &["web"]);
    let name = ["gateway"; NAME_BYTES_MAX / 7 + 1].concat();
    let name = &name[..NAME_BYTES_MAX];
    space.gateway(name, HTTP);
    space.attach("HTTPRoute", "route", &format!("{{name: {name}}}"), "", "web");
    space.reaches(&get(space.address(name), "any.example", "/"), "web");
}

const TWO_PORTS: &str =
    "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}]";

#[test]
fn gateway_with_attached_routes_with_port_8080() {
    let space = space("attached-8080", &["web"]);
    space.gateway("gateway", TWO_PORTS);
    space.attach("HTTPRoute", "route", "{name: gateway, sectionName: more}", "", "web");
    space.value("Gateway", "gateway", "/status/listeners/1/attachedRoutes", &1.into());
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &0.into());
    space.listener_condition("gateway", 0, "Accepted", "True", "Accepted");
}

#[test]
fn gateway_port_8080() {
    let space = space("port-8080", &["web"]);
    space.gateway("gateway", TWO_PORTS);
    space.attach("HTTPRoute", "route", "{name: gateway, sectionName: more}", "", "web");
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 8080, "any.example", "/"), "web");
    space.status(&get(address, "any.example", "/"), 404);
}

#[test]
fn gateway_http_listener_isolation() {
    let space = space("isolation", &["any", "wild", "deep", "exact"]);
    space.gateway(
        "gateway",
        "[{name: any, port: 80, protocol: HTTP}, {name: wild, port: 80, protocol: HTTP, hostname: \
         '*.example'}, {name: deep, port: 80, protocol: HTTP, hostname: '*.foo.example'}, {name: \
         exact, port: 80, protocol: HTTP, hostname: abc.foo.example}]",
    );
    let names = ["any", "wild", "deep", "exact"];
    for name in names {
        space.route(
            "HTTPRoute",
            name,
            &format!(
                "  parentRefs: [{{name: gateway, sectionName: {name}}}]\n  rules: [{{matches: [{{path: \
                 {{type: PathPrefix, value: /{name}}}}}], backendRefs: [{{name: {name}, port: 8080}}]}}]"
            ),
        );
    }
    let address = space.address("gateway");
    for (host, served) in [
        ("other.test", "any"),
        ("bar.example", "wild"),
        ("bar.foo.example", "deep"),
        ("abc.foo.example", "exact"),
    ] {
        for name in names {
            let ask = get(address, host, &format!("/{name}"));
            if name == served {
                space.reaches(&ask, name);
            } else {
                space.status(&ask, 404);
            }
        }
    }
}
