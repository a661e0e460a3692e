//! Hosts, ports and listeners that requests come by.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{GatewayHTTPSListenerDetectMisdirectedRequests, HTTPRoute, HTTPRouteParentRefPort},
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteHostnameIntersection",
        "http_route_hostname_intersection",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteListenerHostnameMatching",
        "http_route_listener_hostname_matching",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteListenerPortMatching",
        "http_route_listener_port_matching",
        &[HTTPRoute, HTTPRouteParentRefPort],
    ),
    Case::upstream("HTTPRouteMultipleGateways", "http_route_multiple_gateways", &[HTTPRoute]),
    Case::upstream("HTTPRouteHTTPSListener", "http_route_https_listener", &[HTTPRoute]),
    Case::upstream(
        "HTTPRouteHTTPSListenerDetectMisdirectedRequests",
        "http_route_https_listener_detect_misdirected_requests",
        &[GatewayHTTPSListenerDetectMisdirectedRequests, HTTPRoute],
    ),
];

#[test]
fn http_route_hostname_intersection() {
    let space = space("hosts", &["one", "two", "three"]);
    space.gateway(
        "gateway",
        "[{name: exact, port: 80, protocol: HTTP, hostname: very.specific.example}, {name: wild, port: \
         80, protocol: HTTP, hostname: '*.wild.io'}, {name: deep, port: 80, protocol: HTTP, hostname: \
         '*.any.wild.test'}]",
    );
    let hosts = "non.matching.example, '*.nonmatching.wild.io', very.specific.example";
    space.attach("HTTPRoute", "one", PARENT, hosts, "one");
    space.attach("HTTPRoute", "two", PARENT, "foo.wild.io, '*.bar.wild.io', other.example", "two");
    space.attach("HTTPRoute", "three", PARENT, "'*.wild.test'", "three");
    space.attach("HTTPRoute", "none", PARENT, "elsewhere.example, wild.io", "one");
    let reason = "NoMatchingListenerHostname";
    space.route_condition("HTTPRoute", "none", "Accepted", "False", reason);
    let address = space.address("gateway");
    for (host, backend) in [
        ("very.specific.example", "one"),
        ("a.nonmatching.wild.io", "one"),
        ("foo.wild.io", "two"),
        ("a.bar.wild.io", "two"),
        ("a.any.wild.test", "three"),
        ("a.b.any.wild.test", "three"),
    ] {
        space.reaches(&get(address, host, "/"), backend);
    }
    for host in [
        "non.matching.example",
        "foo.very.specific.example",
        "wild.io",
        "other.wild.io",
        "bar.wild.io",
        "other.example",
        "b.wild.test",
        "any.wild.test",
    ] {
        space.status(&get(address, host, "/"), 404);
    }
}

#[test]
fn http_route_listener_hostname_matching() {
    let space = space("listener-hosts", &["one", "two", "three"]);
    space.gateway(
        "gateway",
        "[{name: one, port: 80, protocol: HTTP, hostname: bar.example}, {name: two, port: 80, protocol: \
         HTTP, hostname: foo.bar.example}, {name: three, port: 80, protocol: HTTP, hostname: \
         '*.bar.example'}, {name: four, port: 80, protocol: HTTP, hostname: '*.foo.example'}]",
    );
    let of = |section: &str| format!("{{name: gateway, sectionName: {section}}}");
    space.attach("HTTPRoute", "one", &of("one"), "", "one");
    space.attach("HTTPRoute", "two", &of("two"), "", "two");
    space.attach("HTTPRoute", "three", &format!("{}, {}", of("three"), of("four")), "", "three");
    let address = space.address("gateway");
    for (host, backend) in [
        ("bar.example", "one"),
        ("foo.bar.example", "two"),
        ("baz.bar.example", "three"),
        ("multiple.prefixes.bar.example", "three"),
        ("multiple.prefixes.foo.example", "three"),
    ] {
        space.reaches(&get(address, host, "/"), backend);
    }
    space.status(&get(address, "foo.example", "/"), 404);
    space.status(&get(address, "no.matching.host", "/"), 404);
}

#[test]
fn http_route_listener_port_matching() {
    let space = space("ports", &["one", "two", "three"]);
    space.gateway(
        "gateway",
        "[{name: a, port: 80, protocol: HTTP, hostname: foo.example}, {name: b, port: 8080, protocol: \
         HTTP, hostname: foo.example}, {name: c, port: 8080, protocol: HTTP, hostname: bar.example}, \
         {name: d, port: 8090, protocol: HTTP, hostname: foo.example}, {name: e, port: 8090, protocol: \
         HTTP, hostname: bar.example}]",
    );
    space.attach("HTTPRoute", "one", "{name: gateway, port: 80}", "", "one");
    space.attach("HTTPRoute", "two", "{name: gateway, port: 8080}", "", "two");
    space.attach("HTTPRoute", "three", "{name: gateway, port: 8090, sectionName: d}", "", "three");
    let address = space.address("gateway");
    let ask = |host, port| Ask::get(address, port, host, "/");
    space.reaches(&ask("foo.example", 80), "one");
    space.status(&ask("bar.example", 80), 404);
    space.reaches(&ask("foo.example", 8080), "two");
    space.reaches(&ask("bar.example", 8080), "two");
    space.reaches(&ask("foo.example", 8090), "three");
    space.status(&ask("bar.example", 8090), 404);
}

#[test]
fn http_route_multiple_gateways() {
    let space = space("gateways", &["one", "two", "three"]);
    space.gateway("left", HTTP);
    space.gateway("right", HTTP);
    space.route(
        "HTTPRoute",
        "shared",
        "  parentRefs: [{name: left}, {name: right}]\n  rules: [{matches: [{path: {type: PathPrefix, \
         value: /shared}}], backendRefs: [{name: one, port: 8080}]}]",
    );
    space.attach("HTTPRoute", "left", "{name: left}", "", "two");
    space.attach("HTTPRoute", "right", "{name: right}", "", "three");
    let (left, right) = (space.address("left"), space.address("right"));
    assert_ne!(left, right);
    for place in 0..2 {
        space.parent_condition(("HTTPRoute", "shared"), place, "Accepted", "True", "Accepted");
    }
    space.reaches(&get(left, "any.example", "/shared"), "one");
    space.reaches(&get(right, "any.example", "/shared"), "one");
    space.reaches(&get(left, "any.example", "/own"), "two");
    space.reaches(&get(right, "any.example", "/own"), "three");
}

#[test]
fn http_route_https_listener() {
    let space = space("https", &["one", "two"]);
    space.certificate("any", &["example.org", "second.example.org"]);
    space.gateway(
        "gateway",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: any}]}}, {name: named, \
         port: 443, protocol: HTTPS, hostname: second.example.org, tls: {certificateRefs: [{name: any}]}}]",
    );
    space.attach("HTTPRoute", "one", "{name: gateway, sectionName: https}", "example.org", "one");
    space.attach("HTTPRoute", "two", "{name: gateway, sectionName: named}", "", "two");
    let address = space.address("gateway");
    let ask = |host| Ask::get(address, 443, host, "/").secure(space.suite());
    space.reaches(&ask("example.org"), "one");
    space.reaches(&ask("example.org").h2(), "one");
    space.reaches(&ask("second.example.org"), "two");
}

#[test]
fn http_route_https_listener_detect_misdirected_requests() {
    let space = space("misdirected", &["one", "two", "wild"]);
    space.certificate(
        "tls",
        &["example.org", "second-example.org", "*.wildcard.org", "unknown.org"],
    );
    let tls = "tls: {certificateRefs: [{name: tls}]}";
    space.gateway(
        "gateway",
        &format!(
            "[{{name: any, port: 443, protocol: HTTPS, {tls}}}, {{name: second, port: 443, protocol: HTTPS, \
             hostname: second-example.org, {tls}}}, {{name: wild, port: 443, protocol: HTTPS, hostname: \
             '*.wildcard.org', {tls}}}, {{name: very, port: 443, protocol: HTTPS, hostname: \
             very.specific.wildcard.org, {tls}}}]"
        ),
    );
    let of = |section: &str| format!("{{name: gateway, sectionName: {section}}}");
    space.attach("HTTPRoute", "one", &of("any"), "example.org", "one");
    space.attach("HTTPRoute", "two", &of("second"), "", "two");
    space.attach("HTTPRoute", "wild", &of("wild"), "", "wild");
    space.attach("HTTPRoute", "very", &of("very"), "", "one");
    let address = space.address("gateway");
    // A connection for one listener's names, and a request for a host.
    let ask = |name, host| Ask::get(address, 443, name, "/").h2().secure(space.suite()).host(host);
    for (name, host, backend) in [
        ("example.org", "example.org", "one"),
        ("second-example.org", "second-example.org", "two"),
        ("a.wildcard.org", "a.wildcard.org", "wild"),
        ("a.wildcard.org", "b.wildcard.org", "wild"),
    ] {
        space.reaches(&ask(name, host), backend);
    }
    for (name, host) in [
        ("example.org", "second-example.org"),
        ("second-example.org", "example.org"),
        ("example.org", "a.wildcard.org"),
        ("a.wildcard.org", "example.org"),
        ("a.wildcard.org", "second-example.org"),
        ("a.wildcard.org", "very.specific.wildcard.org"),
    ] {
        space.status(&ask(name, host), 421);
    }
    space.status(&ask("unknown.org", "unknown.org"), 404);
}
