//! Gateways, whatever their routes.

use super::http::HTTP;
use lb_tests::conformance::{Ask, Suite};

const TO_WEB: &str = "  rules: [{backendRefs: [{name: web, port: 8080}]}]";

#[test]
fn gateway_port_8080() {
    let mut space = Suite::shared().space("port-8080");
    space.backend("web");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}]",
    );
    let parent = "  parentRefs: [{name: gateway, sectionName: more}]\n";
    space.route("HTTPRoute", "route", &format!("{parent}{TO_WEB}"));
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
        space.route("HTTPRoute", name, &format!("  parentRefs: [{{name: gateway}}]\n{TO_WEB}"));
        space.route_condition("HTTPRoute", name, "Accepted", "True", "Accepted");
    }
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &2.into());
    space.suite().server.delete("HTTPRoute", &format!("{}/two", space.name())).unwrap();
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &1.into());
}

#[test]
fn gateway_http_listener_isolation() {
    let mut space = Suite::shared().space("isolation");
    space.backend("web");
    space.backend("any");
    space.gateway(
        "gateway",
        "[{name: any, port: 80, protocol: HTTP}, {name: wild, port: 80, protocol: HTTP, hostname: \
         '*.example'}]",
    );
    for (name, section) in [("any", "any"), ("web", "wild")] {
        space.route(
            "HTTPRoute",
            name,
            &format!(
                "  parentRefs: [{{name: gateway, sectionName: {section}}}]\n  rules: [{{matches: \
                 [{{path: {{type: PathPrefix, value: /{name}}}}}], backendRefs: [{{name: {name}, port: \
                 8080}}]}}]"
            ),
        );
    }
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 80, "a.example", "/web"), "web");
    space.status(&Ask::get(address, 80, "a.example", "/any"), 404);
    space.reaches(&Ask::get(address, 80, "other.test", "/any"), "any");
    space.status(&Ask::get(address, 80, "other.test", "/web"), 404);
}

#[test]
fn gateway_invalid_route_kind() {
    let space = Suite::shared().space("kinds");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: MadeUp}]}}]",
    );
    space.listener_condition("gateway", 0, "ResolvedRefs", "False", "InvalidRouteKinds");
}

#[test]
fn gateway_invalid_tls_configuration() {
    let space = Suite::shared().space("bad-tls");
    space.gateway(
        "gateway",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]}}]",
    );
    space.listener_condition("gateway", 0, "ResolvedRefs", "False", "InvalidCertificateRef");
    space.listener_condition("gateway", 0, "Programmed", "False", "Invalid");
}

#[test]
fn gateway_secret_reference_grant() {
    let suite = Suite::shared();
    let secrets = suite.space("secrets");
    secrets.certificate("tls", &["secure.example"]);
    let mut space = suite.space("uses-secrets");
    space.backend("web");
    let (from, to) = (space.name().to_owned(), secrets.name().to_owned());
    space.gateway(
        "gateway",
        &format!(
            "[{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: tls, \
             namespace: {to}}}]}}}}]"
        ),
    );
    space.listener_condition("gateway", 0, "ResolvedRefs", "False", "RefNotPermitted");
    secrets.apply(&format!(
        "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: \
         grant}}\nspec:\n  from: [{{group: gateway.networking.k8s.io, kind: Gateway, namespace: \
         {from}}}]\n  to: [{{group: '', kind: Secret}}]"
    ));
    space.listener_condition("gateway", 0, "ResolvedRefs", "True", "ResolvedRefs");
    space.route("HTTPRoute", "route", &format!("  parentRefs: [{{name: gateway}}]\n{TO_WEB}"));
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 443, "secure.example", "/").secure(suite), "web");
}

#[test]
fn gateway_certificate_is_swapped() {
    let mut space = Suite::shared().space("swap");
    space.backend("web");
    space.certificate("tls", &["before.example"]);
    space.gateway(
        "gateway",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]",
    );
    space.route("HTTPRoute", "route", &format!("  parentRefs: [{{name: gateway}}]\n{TO_WEB}"));
    let address = space.address("gateway");
    let ask = |host| Ask::get(address, 443, host, "/").secure(space.suite());
    space.reaches(&ask("before.example"), "web");
    space.certificate("tls", &["after.example"]);
    space.reaches(&ask("after.example"), "web");
}

#[test]
fn gateway_detects_misdirected_requests() {
    let mut space = Suite::shared().space("misdirected");
    space.backend("web");
    space.certificate("one", &["one.example"]);
    space.certificate("two", &["two.example"]);
    space.gateway(
        "gateway",
        "[{name: one, port: 443, protocol: HTTPS, hostname: one.example, tls: {certificateRefs: [{name: \
         one}]}}, {name: two, port: 443, protocol: HTTPS, hostname: two.example, tls: \
         {certificateRefs: [{name: two}]}}]",
    );
    space.route("HTTPRoute", "route", &format!("  parentRefs: [{{name: gateway}}]\n{TO_WEB}"));
    let address = space.address("gateway");
    let ask = Ask::get(address, 443, "one.example", "/").h2().secure(space.suite());
    space.reaches(&ask, "web");
    space.status(&ask.host("two.example"), 421);
}

#[test]
fn gateway_static_addresses() {
    let space = Suite::shared().space("static");
    space.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gateway}\nspec: \
         {gatewayClassName: suite, addresses: [{type: IPAddress, value: 198.51.100.1}], listeners: \
         [{name: http, port: 80, protocol: HTTP}]}",
    );
    space.gateway_condition("gateway", "Programmed", "False", "AddressNotUsable");
}

#[test]
fn gateway_observed_generation_bumps() {
    let space = Suite::shared().space("generation");
    space.gateway("gateway", HTTP);
    space.gateway_condition("gateway", "Programmed", "True", "Programmed");
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}]",
    );
    space.gateway_condition("gateway", "Programmed", "True", "Programmed");
    space.listener_condition("gateway", 1, "Programmed", "True", "Programmed");
}

#[test]
fn listener_set() {
    let mut space = Suite::shared().space("listener-set");
    space.backend("web");
    space.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gateway}\nspec: \
         {gatewayClassName: suite, allowedListeners: {namespaces: {from: Same}}, listeners: [{name: \
         http, port: 80, protocol: HTTP}]}",
    );
    space.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more}\nspec: \
         {parentRef: {kind: Gateway, group: gateway.networking.k8s.io, name: gateway}, listeners: [{name: \
         extra, port: 8081, protocol: HTTP}]}",
    );
    space.condition("ListenerSet", "more", "/status/conditions", "Accepted", "True", "Accepted");
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: more, kind: ListenerSet, group: gateway.networking.k8s.io}]
  rules: [{backendRefs: [{name: web, port: 8080}]}]",
    );
    space.value("Gateway", "gateway", "/status/attachedListenerSets", &1.into());
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 8081, "any.example", "/"), "web");
    space.status(&Ask::get(address, 80, "any.example", "/"), 404);
}
