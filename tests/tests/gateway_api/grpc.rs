//! GRPCRoute.

use super::scene::{HTTP, PARENT, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{BackendTLSPolicy, GRPCRoute, GRPCRouteNamedRouteRule, ReferenceGrant},
    Space, Speaks,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::upstream("GRPCExactMethodMatching", "grpc_exact_method_matching", &[GRPCRoute]),
    Case::upstream("GRPCRouteHeaderMatching", "grpc_route_header_matching", &[GRPCRoute]),
    Case::upstream(
        "GRPCRouteListenerHostnameMatching",
        "grpc_route_listener_hostname_matching",
        &[GRPCRoute],
    ),
    Case::upstream("GRPCRouteWeight", "grpc_route_weight", &[GRPCRoute]),
    Case::provisional(
        "GRPCRouteNamedRule",
        "grpc_route_named_rule",
        &[GRPCRoute, GRPCRouteNamedRouteRule],
    ),
    Case::ours("grpc_route_request_header_modifier", &[GRPCRoute]),
    Case::ours("grpc_route_backend_tls_policy", &[BackendTLSPolicy, GRPCRoute]),
    Case::ours("grpc_route_invalid_references", &[GRPCRoute, ReferenceGrant]),
];

const ONE_TWO_THREE: &[&str] = &["one", "two", "three"];

fn routed(name: &str, rules: &str) -> (Space, IpAddr) {
    let space = space(name, ONE_TWO_THREE);
    space.gateway("gateway", HTTP);
    space.route("GRPCRoute", "route", &format!("  parentRefs: [{PARENT}]\n  rules:\n{rules}"));
    let address = space.address("gateway");
    (space, address)
}

/// A rule: its matches (YAML, in flow style) and its backend.
fn rule(matches: &str, backend: &str) -> String {
    format!("  - {{matches: [{matches}], backendRefs: [{{name: {backend}, port: 8080}}]}}\n")
}

fn call(address: IpAddr, path: &str) -> Ask {
    Ask::call(address, 80, "any.example", path)
}

/// Nobody has the method: an answer of the proxy's that says so as gRPC does.
fn is_unimplemented(space: &Space, call: &Ask) {
    let answer = space.ask(call, "no backend answers", |it| it.echoed.is_none());
    let all = answer.trailers.iter().chain(&answer.headers);
    let status = all.into_iter().find(|it| it.0 == "grpc-status").map(|it| it.1.as_str());
    assert!(status == Some("12") || answer.status == 404, "{answer:?}");
}

#[test]
fn grpc_exact_method_matching() {
    let rules = [
        rule("{method: {service: echo.Echo, method: First}}", "one"),
        rule("{method: {service: echo.Echo, method: Second}}", "two"),
        rule("{method: {service: other.Echo}}", "three"),
    ];
    let (space, address) = routed("grpc", &rules.concat());
    let answer = space.reaches(&call(address, "/echo.Echo/First"), "one");
    assert!(answer.trailers.contains(&("grpc-status".to_owned(), "0".to_owned())), "{answer:?}");
    space.reaches(&call(address, "/echo.Echo/Second"), "two");
    space.reaches(&call(address, "/other.Echo/Any"), "three");
    is_unimplemented(&space, &call(address, "/echo.Echo/Third"));
    space.route_condition("GRPCRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("GRPCRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
}

#[test]
fn grpc_route_header_matching() {
    let rules = [
        rule("{headers: [{name: version, value: one}]}", "one"),
        rule(
            "{headers: [{name: Version, value: two}]}, {headers: [{name: color, value: orange}]}",
            "two",
        ),
        rule("{headers: [{name: Version, value: two}, {name: color, value: orange}]}", "one"),
        rule(
            "{headers: [{name: color, value: blue}]}, {headers: [{name: color, value: green}]}",
            "three",
        ),
    ];
    let (space, address) = routed("grpc-headers", &rules.concat());
    let ask = call(address, "/echo.Echo/Any");
    space.reaches(&ask.clone().header("version", "one"), "one");
    space.reaches(&ask.clone().header("version", "two"), "two");
    space.reaches(&ask.clone().header("version", "two").header("color", "orange"), "one");
    space.reaches(&ask.clone().header("color", "orange"), "two");
    space.reaches(&ask.clone().header("color", "green"), "three");
    is_unimplemented(&space, &ask.clone().header("color", "purple"));
    is_unimplemented(&space, &ask);
}

#[test]
fn grpc_route_listener_hostname_matching() {
    let space = space("grpc-hosts", ONE_TWO_THREE);
    space.gateway(
        "gateway",
        "[{name: one, port: 80, protocol: HTTP, hostname: bar.example}, {name: two, port: 80, protocol: \
         HTTP, hostname: foo.bar.example}, {name: three, port: 80, protocol: HTTP, hostname: \
         '*.bar.example'}, {name: four, port: 80, protocol: HTTP, hostname: '*.foo.example'}]",
    );
    let of = |section: &str| format!("{{name: gateway, sectionName: {section}}}");
    space.attach("GRPCRoute", "one", &of("one"), "", "one");
    space.attach("GRPCRoute", "two", &of("two"), "", "two");
    space.attach("GRPCRoute", "three", &format!("{}, {}", of("three"), of("four")), "", "three");
    let address = space.address("gateway");
    let ask = |host| Ask::call(address, 80, host, "/echo.Echo/Any");
    for (host, backend) in [
        ("bar.example", "one"),
        ("foo.bar.example", "two"),
        ("baz.bar.example", "three"),
        ("multiple.prefixes.bar.example", "three"),
        ("multiple.prefixes.foo.example", "three"),
    ] {
        space.reaches(&ask(host), backend);
    }
    is_unimplemented(&space, &ask("foo.example"));
    is_unimplemented(&space, &ask("no.matching.host"));
}

#[test]
fn grpc_route_weight() {
    let rules = "  - backendRefs: [{name: one, port: 8080, weight: 70}, {name: two, port: 8080, weight: \
                 30}, {name: three, port: 8080, weight: 0}]";
    let (space, address) = routed("grpc-weight", rules);
    let ask = call(address, "/echo.Echo/Any");
    for service in ["one", "two"] {
        space.reaches(&ask, service);
    }
    let mut two = 0;
    for _ in 0..400 {
        let answer = ask.once(space.suite()).unwrap();
        assert!(answer.is_from("one") || answer.is_from("two"), "{answer:?}");
        two += u32::from(answer.is_from("two"));
    }
    // More than six standard deviations of a binomial distribution: one run of 10^10 is beyond.
    assert!((60..=180).contains(&two), "{two} of 400 where 120 are expected");
}

#[test]
fn grpc_route_named_rule() {
    let rules = "  - {name: named, matches: [{method: {service: echo.Echo, method: First}}], backendRefs: \
                 [{name: one, port: 8080}]}\n  - {matches: [{method: {service: echo.Echo, method: Second}}], \
                 backendRefs: [{name: two, port: 8080}]}";
    let (space, address) = routed("grpc-named", rules);
    space.route_condition("GRPCRoute", "route", "Accepted", "True", "Accepted");
    space.reaches(&call(address, "/echo.Echo/First"), "one");
    space.reaches(&call(address, "/echo.Echo/Second"), "two");
}

#[test]
fn grpc_route_request_header_modifier() {
    let rules = "  - {filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, \
                 value: set}], add: [{name: X-Add, value: more}], remove: [X-Remove]}}], backendRefs: \
                 [{name: one, port: 8080}]}";
    let (space, address) = routed("grpc-modifier", rules);
    let ask = call(address, "/echo.Echo/Any").header("x-set", "before").header("x-remove", "gone");
    let answer = space.reaches(&ask, "one");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    assert_eq!(answer.asked_header("x-add"), ["more"]);
    assert!(answer.asked_header("x-remove").is_empty());
}

#[test]
fn grpc_route_backend_tls_policy() {
    let mut space = space("grpc-tls", &[]);
    let issued = space.suite().authority.issue(&["inner.example"]).unwrap();
    let mut config = (*issued.server(None).unwrap()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    space.backends_speaking("secure", 1, &Speaks::Https(config.into()), "");
    space.authority("ca");
    space.backend_policy("policy", "secure", "hostname: inner.example", "ca");
    space.gateway("gateway", HTTP);
    space.attach("GRPCRoute", "route", PARENT, "", "secure");
    let ask = call(space.address("gateway"), "/echo.Echo/Any");
    space.reaches(&ask, "secure");
    space.backend_policy("policy", "secure", "hostname: wrong.example", "ca");
    space.ask(&ask, "no backend answers", |it| it.echoed.is_none());
}

#[test]
fn grpc_route_invalid_references() {
    let theirs = space("grpc-theirs", &["web"]);
    let space = space("grpc-invalid", &[]);
    space.gateway("gateway", HTTP);
    let foreign = format!("{{name: web, namespace: {}, port: 8080}}", theirs.name());
    for (name, reference, reason) in [
        ("missing", "{name: nobody, port: 8080}", "BackendNotFound"),
        ("unknown", "{group: made.up, kind: Thing, name: web}", "InvalidKind"),
        ("foreign", &foreign, "RefNotPermitted"),
    ] {
        space.route(
            "GRPCRoute",
            name,
            &format!(
                "  parentRefs: [{PARENT}]\n  hostnames: [{name}.example]\n  rules: [{{backendRefs: \
                 [{reference}]}}]"
            ),
        );
        space.route_condition("GRPCRoute", name, "ResolvedRefs", "False", reason);
        space.route_condition("GRPCRoute", name, "Accepted", "True", "Accepted");
    }
    theirs.grant("grant", ("GRPCRoute", space.name()), ("Service", None));
    let ask = Ask::call(space.address("gateway"), 80, "foreign.example", "/echo.Echo/Any");
    space.reaches(&ask, "web");
}
