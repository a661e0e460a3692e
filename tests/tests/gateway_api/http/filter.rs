//! Filters that change requests, responses and URLs.

use super::super::scene::{get, routed, rule};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{
        GatewayPort8080, HTTPRoute, HTTPRoute303RedirectStatusCode, HTTPRoute307RedirectStatusCode,
        HTTPRoute308RedirectStatusCode, HTTPRouteBackendRequestHeaderModification,
        HTTPRouteHostRewrite, HTTPRoutePathRedirect, HTTPRoutePathRewrite, HTTPRoutePortRedirect,
        HTTPRouteResponseHeaderModification, HTTPRouteSchemeRedirect,
    },
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteRequestHeaderModifier",
        "http_route_request_header_modifier",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteResponseHeaderModifier",
        "http_route_response_header_modifier",
        &[HTTPRoute, HTTPRouteResponseHeaderModification],
    ),
    Case::upstream(
        "HTTPRouteBackendRequestHeaderModifier",
        "http_route_backend_request_header_modifier",
        &[HTTPRoute, HTTPRouteBackendRequestHeaderModification],
    ),
    Case::upstream(
        "HTTPRouteRequestHeaderModifierBackendWeights",
        "http_route_request_header_modifier_backend_weights",
        &[HTTPRoute, HTTPRouteBackendRequestHeaderModification],
    ),
    Case::upstream(
        "HTTPRouteRedirectHostAndStatus",
        "http_route_redirect_host_and_status",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteRedirectScheme",
        "http_route_redirect_scheme",
        &[HTTPRoute, HTTPRouteSchemeRedirect],
    ),
    Case::upstream(
        "HTTPRouteRedirectPort",
        "http_route_redirect_port",
        &[HTTPRoute, HTTPRoutePortRedirect],
    ),
    Case::upstream(
        "HTTPRouteRedirectPortAndScheme",
        "http_route_redirect_port_and_scheme",
        &[GatewayPort8080, HTTPRoute, HTTPRoutePortRedirect],
    ),
    Case::upstream(
        "HTTPRouteRedirectPath",
        "http_route_redirect_path",
        &[HTTPRoute, HTTPRoutePathRedirect],
    ),
    Case::provisional(
        "HTTPRoute303Redirect",
        "http_route_303_redirect",
        &[HTTPRoute, HTTPRoute303RedirectStatusCode],
    ),
    Case::provisional(
        "HTTPRoute307Redirect",
        "http_route_307_redirect",
        &[HTTPRoute, HTTPRoute307RedirectStatusCode],
    ),
    Case::provisional(
        "HTTPRoute308Redirect",
        "http_route_308_redirect",
        &[HTTPRoute, HTTPRoute308RedirectStatusCode],
    ),
    Case::upstream(
        "HTTPRouteRewriteHost",
        "http_route_rewrite_host",
        &[HTTPRoute, HTTPRouteHostRewrite],
    ),
    Case::upstream(
        "HTTPRouteRewritePath",
        "http_route_rewrite_path",
        &[HTTPRoute, HTTPRoutePathRewrite],
    ),
];

const CHANGES: &str = "{set: [{name: X-Set, value: set}], add: [{name: X-Add, value: more}], remove: \
                       [X-Remove]}";

#[test]
fn http_route_request_header_modifier() {
    let filters =
        format!("filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {CHANGES}}}]");
    let (space, address) = routed("request-headers", &["web"], &rule("/", &filters, "web"));
    let plain = space.reaches(&get(address, "any.example", "/"), "web");
    assert_eq!(plain.asked_header("x-set"), ["set"]);
    assert_eq!(plain.asked_header("x-add"), ["more"]);
    let ask = get(address, "any.example", "/").header("X-Set", "before").header("X-Other", "kept");
    let answer = space.reaches(&ask.header("X-Add", "one").header("X-Remove", "gone"), "web");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    assert_eq!(answer.asked_header("x-other"), ["kept"]);
    let added = answer.asked_header("x-add").join(",");
    assert_eq!(added.replace(' ', ""), "one,more");
    assert!(answer.asked_header("x-remove").is_empty());
}

#[test]
fn http_route_response_header_modifier() {
    let filters =
        format!("filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {CHANGES}}}]");
    let (space, address) = routed("response-headers", &["web"], &rule("/", &filters, "web"));
    let ask = get(address, "any.example", "/");
    assert_eq!(space.reaches(&ask, "web").headers("x-set"), ["set"]);
    let ask =
        ask.header("X-Echo-Set-Header", "X-Set:before, X-Add:one, X-Remove:gone, X-Other:kept");
    let answer = space.reaches(&ask, "web");
    assert_eq!(answer.headers("x-set"), ["set"]);
    assert_eq!(answer.headers("x-add"), ["one", "more"]);
    assert_eq!(answer.headers("x-other"), ["kept"]);
    assert_eq!(answer.header("x-remove"), None);
}

#[test]
fn http_route_backend_request_header_modifier() {
    let rules = format!(
        "  - backendRefs: [{{name: web, port: 8080, filters: [{{type: RequestHeaderModifier, \
         requestHeaderModifier: {CHANGES}}}]}}]"
    );
    let (space, address) = routed("backend-headers", &["web"], &rules);
    let ask = get(address, "any.example", "/").header("X-Set", "before").header("X-Add", "one");
    let answer = space.reaches(&ask.header("X-Remove", "gone"), "web");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    let added = answer.asked_header("x-add").join(",");
    assert_eq!(added.replace(' ', ""), "one,more");
    assert!(answer.asked_header("x-remove").is_empty());
}

#[test]
fn http_route_request_header_modifier_backend_weights() {
    let backend = |name: &str, weight: u32| {
        format!(
            "{{name: {name}, port: 8080, weight: {weight}, filters: [{{type: RequestHeaderModifier, \
             requestHeaderModifier: {{set: [{{name: X-Backend, value: {name}}}]}}}}]}}"
        )
    };
    let rules = format!("  - backendRefs: [{}, {}]", backend("one", 50), backend("two", 50));
    let (space, address) = routed("weighted-headers", &["one", "two"], &rules);
    let ask = get(address, "any.example", "/");
    for service in ["one", "two"] {
        space.reaches(&ask, service);
    }
    let mut counts = [0, 0];
    for _ in 0..60 {
        let answer = ask.once(space.suite()).unwrap();
        for (name, count) in ["one", "two"].into_iter().zip(&mut counts) {
            if answer.is_from(name) {
                assert_eq!(answer.asked_header("x-backend"), [name]);
                *count += 1;
            }
        }
    }
    assert_eq!(counts[0] + counts[1], 60);
    assert!(counts.iter().all(|it| *it > 0), "{counts:?}");
}

/// A rule that redirects what begins with this path.
fn redirect(path: &str, redirect: &str) -> String {
    format!(
        "  - {{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], filters: [{{type: RequestRedirect, \
         requestRedirect: {redirect}}}]}}\n"
    )
}

/// Redirects of `http://any.example`: the rules, and for each path the status and the location.
fn redirects(name: &str, rules: &[String], expected: &[(&str, u16, &str)]) {
    let (space, address) = routed(name, &[], &rules.concat());
    for (path, status, location) in expected {
        let answer = space.status(&get(address, "any.example", path), *status);
        assert_eq!(answer.header("location"), Some(*location), "{path}");
    }
}

#[test]
fn http_route_redirect_host_and_status() {
    redirects(
        "redirect-host",
        &[
            redirect("/hostname", "{hostname: example.org}"),
            redirect("/status", "{statusCode: 301}"),
            redirect("/both", "{hostname: example.org, statusCode: 301}"),
        ],
        &[
            ("/hostname", 302, "http://example.org/hostname"),
            ("/status", 301, "http://any.example/status"),
            ("/both?x=y", 301, "http://example.org/both?x=y"),
        ],
    );
}

#[test]
fn http_route_redirect_scheme() {
    redirects(
        "redirect-scheme",
        &[
            redirect("/scheme", "{scheme: https}"),
            redirect("/host", "{scheme: https, hostname: example.org}"),
            redirect("/status", "{scheme: https, statusCode: 301}"),
            redirect("/all", "{scheme: https, hostname: example.org, statusCode: 301}"),
        ],
        &[
            ("/scheme", 302, "https://any.example/scheme"),
            ("/host", 302, "https://example.org/host"),
            ("/status", 301, "https://any.example/status"),
            ("/all", 301, "https://example.org/all"),
        ],
    );
}

#[test]
fn http_route_redirect_port() {
    redirects(
        "redirect-port",
        &[
            redirect("/port", "{port: 8083}"),
            redirect("/host", "{port: 8083, hostname: example.org}"),
            redirect("/status", "{port: 8083, statusCode: 301}"),
            redirect("/all", "{port: 8083, hostname: example.org, statusCode: 301}"),
        ],
        &[
            ("/port", 302, "http://any.example:8083/port"),
            ("/host", 302, "http://example.org:8083/host"),
            ("/status", 301, "http://any.example:8083/status"),
            ("/all", 301, "http://example.org:8083/all"),
        ],
    );
}

#[test]
fn http_route_redirect_port_and_scheme() {
    // Which port a location has, by the scheme and the listener's port.
    let rules = [
        redirect("/scheme-nil-port-nil", "{hostname: example.org}"),
        redirect("/scheme-nil-port-80", "{hostname: example.org, port: 80}"),
        redirect("/scheme-nil-port-8080", "{hostname: example.org, port: 8080}"),
        redirect("/scheme-http-port-nil", "{hostname: example.org, scheme: http}"),
        redirect("/scheme-http-port-80", "{hostname: example.org, scheme: http, port: 80}"),
        redirect("/scheme-http-port-8080", "{hostname: example.org, scheme: http, port: 8080}"),
        redirect("/scheme-https-port-nil", "{hostname: example.org, scheme: https}"),
        redirect("/scheme-https-port-443", "{hostname: example.org, scheme: https, port: 443}"),
        redirect("/scheme-https-port-8443", "{hostname: example.org, scheme: https, port: 8443}"),
    ];
    let (space, address) = routed("redirect-both", &[], &rules.concat());
    space.certificate("tls", &["any.example"]);
    space.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 8080, protocol: HTTP}, {name: https, \
         port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]",
    );
    for (port, path, location) in [
        (80, "/scheme-nil-port-nil", "http://example.org"),
        (80, "/scheme-nil-port-80", "http://example.org"),
        (80, "/scheme-nil-port-8080", "http://example.org:8080"),
        (80, "/scheme-http-port-nil", "http://example.org"),
        (80, "/scheme-http-port-80", "http://example.org"),
        (80, "/scheme-http-port-8080", "http://example.org:8080"),
        (80, "/scheme-https-port-nil", "https://example.org"),
        (80, "/scheme-https-port-443", "https://example.org"),
        (80, "/scheme-https-port-8443", "https://example.org:8443"),
        (8080, "/scheme-nil-port-nil", "http://example.org:8080"),
        (8080, "/scheme-nil-port-80", "http://example.org"),
        (8080, "/scheme-http-port-nil", "http://example.org"),
        (8080, "/scheme-https-port-nil", "https://example.org"),
        (443, "/scheme-nil-port-nil", "https://example.org"),
        (443, "/scheme-nil-port-8080", "https://example.org:8080"),
        (443, "/scheme-http-port-nil", "http://example.org"),
        (443, "/scheme-http-port-8080", "http://example.org:8080"),
        (443, "/scheme-https-port-443", "https://example.org"),
        (443, "/scheme-https-port-8443", "https://example.org:8443"),
    ] {
        let ask = Ask::get(address, port, "any.example", path);
        let ask = if port == 443 { ask.secure(space.suite()) } else { ask };
        let answer = space.status(&ask, 302);
        assert_eq!(answer.header("location"), Some(&*format!("{location}{path}")), "port {port}");
    }
}

#[test]
fn http_route_redirect_path() {
    let full = "path: {type: ReplaceFullPath, replaceFullPath: /whole}";
    let prefix = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /other}";
    redirects(
        "redirect-path",
        &[
            redirect("/original", &format!("{{{prefix}}}")),
            redirect("/full", &format!("{{{full}}}")),
            redirect("/full-host", &format!("{{{full}, hostname: example.org}}")),
            redirect("/status", &format!("{{{prefix}, statusCode: 301}}")),
            redirect("/root", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}"),
        ],
        &[
            ("/original/lemon", 302, "http://any.example/other/lemon"),
            ("/original", 302, "http://any.example/other"),
            ("/full/more", 302, "http://any.example/whole"),
            ("/full-host/more", 302, "http://example.org/whole"),
            ("/status/x?y=z", 301, "http://any.example/other/x?y=z"),
            ("/root/x", 302, "http://any.example/x"),
        ],
    );
}

fn redirects_with(status: u16) {
    let scheme = format!("{{scheme: https, hostname: example.org, statusCode: {status}}}");
    redirects(
        &format!("redirect-{status}"),
        &[
            redirect("/host", &format!("{{hostname: example.org, statusCode: {status}}}")),
            redirect("/scheme", &scheme),
        ],
        &[
            ("/host", status, "http://example.org/host"),
            ("/scheme", status, "https://example.org/scheme"),
        ],
    );
}

#[test]
fn http_route_303_redirect() {
    redirects_with(303);
}

#[test]
fn http_route_307_redirect() {
    redirects_with(307);
}

#[test]
fn http_route_308_redirect() {
    redirects_with(308);
}

fn rewrite(path: &str, rewrite: &str) -> String {
    rule(path, &format!("filters: [{{type: URLRewrite, urlRewrite: {rewrite}}}]"), "web")
}

#[test]
fn http_route_rewrite_host() {
    let rules = [rewrite("/one", "{hostname: inner.example}"), rule("/two", "", "web")];
    let (space, address) = routed("rewrite-host", &["web"], &rules.concat());
    let ask = |path| get(address, "any.example", path);
    assert_eq!(space.reaches(&ask("/one"), "web").asked_host(), "inner.example");
    assert_eq!(space.reaches(&ask("/two"), "web").asked_host(), "any.example");
}

#[test]
fn http_route_rewrite_path() {
    let rules = [
        rewrite("/full", "{path: {type: ReplaceFullPath, replaceFullPath: /one}}"),
        rewrite("/prefix", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /two}}"),
        rewrite("/strip", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}"),
        rewrite("/slash", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /three/}}"),
        rewrite(
            "/host",
            "{hostname: inner.example, path: {type: ReplaceFullPath, replaceFullPath: /four}}",
        ),
    ];
    let (space, address) = routed("rewrite-path", &["web"], &rules.concat());
    for (path, asked) in [
        ("/full/x?q=1", "/one?q=1"),
        ("/prefix/x", "/two/x"),
        ("/prefix", "/two"),
        ("/strip/x", "/x"),
        ("/strip", "/"),
        ("/slash/x", "/three/x"),
        ("/host/x", "/four"),
    ] {
        let answer = space.reaches(&get(address, "any.example", path), "web");
        assert_eq!(answer.asked_path(), asked, "{path}");
    }
}
