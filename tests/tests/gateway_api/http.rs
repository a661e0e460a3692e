//! HTTPRoute: core features, matches and weights.

use lb_tests::conformance::{Ask, Space, Suite};
use std::net::IpAddr;

/// Listeners of the most modest Gateway.
pub(crate) const HTTP: &str = "[{name: http, port: 80, protocol: HTTP}]";

/// A space with a Gateway, an HTTPRoute with these rules, and backends.
pub(crate) fn routed(name: &str, backends: &[&str], rules: &str) -> (Space, IpAddr) {
    let mut space = Suite::shared().space(name);
    for backend in backends {
        space.backend(backend);
    }
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        &format!("  parentRefs: [{{name: gateway}}]\n  rules:\n{rules}"),
    );
    let address = space.address("gateway");
    (space, address)
}

const ALL_TO_WEB: &str = "  - backendRefs: [{name: web, port: 8080}]";

#[test]
fn http_route_simple_same_namespace() {
    let (space, address) = routed("simple", &["web"], ALL_TO_WEB);
    let answer = space.reaches(&Ask::get(address, 80, "any.example", "/path?x=y"), "web");
    assert_eq!(answer.asked_path(), "/path?x=y");
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
}

#[test]
fn http_route_path_match_order() {
    let rules = "  - matches: [{path: {type: PathPrefix, value: /match}}]
    backendRefs: [{name: prefix, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /match/longer}}]
    backendRefs: [{name: longer, port: 8080}]
  - matches: [{path: {type: Exact, value: /match/exact}}]
    backendRefs: [{name: exact, port: 8080}]";
    let (space, address) = routed("path-order", &["prefix", "longer", "exact"], rules);
    let ask = |path| Ask::get(address, 80, "any.example", path);
    space.reaches(&ask("/match/other"), "prefix");
    space.reaches(&ask("/match/longer/x"), "longer");
    space.reaches(&ask("/match/longerx"), "prefix");
    space.reaches(&ask("/match/exact"), "exact");
    space.reaches(&ask("/match/exact/x"), "prefix");
    space.status(&ask("/matchx"), 404);
}

#[test]
fn http_route_matching_across_routes() {
    let (mut space, address) = routed(
        "across",
        &["web"],
        "  - matches: [{path: {type: PathPrefix, value: /}}]\n    backendRefs: [{name: web, port: 8080}]",
    );
    space.backend("api");
    space.route(
        "HTTPRoute",
        "second",
        "  parentRefs: [{name: gateway}]
  rules: [{matches: [{path: {type: PathPrefix, value: /v2}}], backendRefs: [{name: api, port: 8080}]}]",
    );
    space.reaches(&Ask::get(address, 80, "any.example", "/v2/x"), "api");
    space.reaches(&Ask::get(address, 80, "any.example", "/v1"), "web");
}

#[test]
fn http_route_header_matching() {
    let rules = "  - matches: [{headers: [{name: version, value: one}]}]
    backendRefs: [{name: one, port: 8080}]
  - matches: [{headers: [{name: Version, value: two}, {name: color, value: blue}]}, {headers: [{name: color, value: green}]}]
    backendRefs: [{name: two, port: 8080}]
  - matches: [{headers: [{name: like, type: RegularExpression, value: 'a+b'}]}]
    backendRefs: [{name: like, port: 8080}]";
    let (space, address) = routed("headers", &["one", "two", "like"], rules);
    let ask = Ask::get(address, 80, "any.example", "/");
    space.reaches(&ask.clone().header("VERSION", "one"), "one");
    space.reaches(&ask.clone().header("version", "two").header("color", "blue"), "two");
    space.reaches(&ask.clone().header("color", "green"), "two");
    space.reaches(&ask.clone().header("like", "aaab"), "like");
    space.status(&ask.clone().header("version", "two"), 404);
    space.status(&ask.header("like", "xab"), 404);
}

#[test]
fn http_route_query_param_matching() {
    let rules = "  - matches: [{queryParams: [{name: animal, value: whale}]}]
    backendRefs: [{name: whale, port: 8080}]
  - matches: [{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}]
    backendRefs: [{name: dolphin, port: 8080}]";
    let (space, address) = routed("query", &["whale", "dolphin"], rules);
    let ask = |path| Ask::get(address, 80, "any.example", path);
    space.reaches(&ask("/?animal=whale"), "whale");
    space.reaches(&ask("/?color=blue&animal=dolphin"), "dolphin");
    space.status(&ask("/?animal=dolphin"), 404);
    space.status(&ask("/?Animal=whale"), 404);
}

#[test]
fn http_route_method_matching() {
    let rules = "  - matches: [{method: GET}]
    backendRefs: [{name: reads, port: 8080}]
  - matches: [{method: POST}]
    backendRefs: [{name: writes, port: 8080}]";
    let (space, address) = routed("method", &["reads", "writes"], rules);
    let ask = Ask::get(address, 80, "any.example", "/");
    space.reaches(&ask, "reads");
    space.reaches(&ask.clone().method("POST"), "writes");
    space.status(&ask.method("PUT"), 404);
}

#[test]
fn http_route_hostname_intersection() {
    let mut space = Suite::shared().space("hosts");
    space.backend("web");
    space
        .gateway("gateway", "[{name: http, port: 80, protocol: HTTP, hostname: '*.wild.example'}]");
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]
  hostnames: [a.wild.example, other.example]
  rules: [{backendRefs: [{name: web, port: 8080}]}]",
    );
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 80, "a.wild.example", "/"), "web");
    space.status(&Ask::get(address, 80, "b.wild.example", "/"), 404);
    space.status(&Ask::get(address, 80, "other.example", "/"), 404);
    space.route(
        "HTTPRoute",
        "elsewhere",
        "  parentRefs: [{name: gateway}]
  hostnames: [else.example]
  rules: [{backendRefs: [{name: web, port: 8080}]}]",
    );
    let reason = "NoMatchingListenerHostname";
    space.route_condition("HTTPRoute", "elsewhere", "Accepted", "False", reason);
}

#[test]
fn http_route_weight() {
    let rules = "  - backendRefs: [{name: most, port: 8080, weight: 70}, {name: some, port: 8080, \
                 weight: 30}, {name: none, port: 8080, weight: 0}]";
    let (space, address) = routed("weight", &["most", "some", "none"], rules);
    let ask = Ask::get(address, 80, "any.example", "/");
    space.status(&ask, 200);
    let mut some = 0;
    for _ in 0..200 {
        let answer = ask.once(space.suite()).unwrap();
        assert!(!answer.is_from("none"));
        some += u32::from(answer.is_from("some"));
    }
    assert!((30..=90).contains(&some), "{some} of 200 where 60 are expected");
}

#[test]
fn http_route_invalid_backend_refs() {
    let mut space = Suite::shared().space("invalid-refs");
    space.backend("web");
    space.gateway("gateway", HTTP);
    let address = space.address("gateway");
    for (name, reference, reason) in [
        ("missing", "{name: nobody, port: 8080}", "BackendNotFound"),
        ("unknown", "{group: made.up, kind: Thing, name: web}", "InvalidKind"),
        ("foreign", "{name: web, namespace: default, port: 8080}", "RefNotPermitted"),
    ] {
        space.route(
            "HTTPRoute",
            name,
            &format!(
                "  parentRefs: [{{name: gateway}}]\n  hostnames: [{name}.example]\n  rules: \
                 [{{backendRefs: [{reference}]}}]"
            ),
        );
        space.route_condition("HTTPRoute", name, "ResolvedRefs", "False", reason);
        space.route_condition("HTTPRoute", name, "Accepted", "True", "Accepted");
        space.status(&Ask::get(address, 80, &format!("{name}.example"), "/"), 500);
    }
}

#[test]
fn http_route_reference_grant() {
    let suite = Suite::shared();
    let mut theirs = suite.space("grant-theirs");
    theirs.backend("web");
    let ours = suite.space("grant-ours");
    ours.gateway("gateway", HTTP);
    let namespace = theirs.name();
    ours.route(
        "HTTPRoute",
        "route",
        &format!(
            "  parentRefs: [{{name: gateway}}]\n  rules: [{{backendRefs: [{{name: web, namespace: \
             {namespace}, port: 8080}}]}}]"
        ),
    );
    let ask = Ask::get(ours.address("gateway"), 80, "any.example", "/");
    ours.status(&ask, 500);
    let from = ours.name();
    theirs.apply(&format!(
        "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: \
         grant}}\nspec:\n  from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: \
         {from}}}]\n  to: [{{group: '', kind: Service, name: web}}]"
    ));
    ours.reaches(&ask, "web");
    ours.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    suite.server.delete("ReferenceGrant", &format!("{namespace}/grant")).unwrap();
    ours.status(&ask, 500);
}

#[test]
fn http_route_cross_namespace() {
    let suite = Suite::shared();
    let gateways = suite.space("cross-gateways");
    gateways.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}, {name: \
         own, port: 81, protocol: HTTP}]",
    );
    let mut routes = suite.space("cross-routes");
    routes.backend("web");
    let namespace = gateways.name();
    for (name, section) in [("let-in", "http"), ("kept-out", "own")] {
        routes.route(
            "HTTPRoute",
            name,
            &format!(
                "  parentRefs: [{{name: gateway, namespace: {namespace}, sectionName: {section}}}]\n  \
                 rules: [{{backendRefs: [{{name: web, port: 8080}}]}}]"
            ),
        );
    }
    let address = gateways.address("gateway");
    routes.reaches(&Ask::get(address, 80, "any.example", "/"), "web");
    let reason = "NotAllowedByListeners";
    routes.route_condition("HTTPRoute", "kept-out", "Accepted", "False", reason);
}

#[test]
fn http_route_partially_invalid_parent() {
    let (space, _) = routed("parents", &["web"], ALL_TO_WEB);
    space.route(
        "HTTPRoute",
        "astray",
        "  parentRefs: [{name: gateway, sectionName: nowhere}]
  rules: [{backendRefs: [{name: web, port: 8080}]}]",
    );
    space.route_condition("HTTPRoute", "astray", "Accepted", "False", "NoMatchingParent");
}

#[test]
fn http_route_endpoints_come_and_go() {
    let (space, address) = routed("endpoints", &["web"], ALL_TO_WEB);
    let ask = Ask::get(address, 80, "any.example", "/");
    space.reaches(&ask, "web");
    space.suite().server.delete("EndpointSlice", &format!("{}/web-0", space.name())).unwrap();
    space.status(&ask, 503);
}
