//! HTTPRoute: filters, timeouts and retries.

use super::http::HTTP;
use super::http::routed;
use lb_tests::conformance::{Ask, Speaks, Suite};

fn filtered(filters: &str) -> String {
    format!("  - filters: {filters}\n    backendRefs: [{{name: web, port: 8080}}]")
}

#[test]
fn http_route_request_header_modifier() {
    let filters = "[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: \
                   set}], add: [{name: X-Add, value: more}], remove: [X-Remove]}}]";
    let (space, address) = routed("request-headers", &["web"], &filtered(filters));
    let ask = Ask::get(address, 80, "any.example", "/").header("X-Set", "before");
    let answer = space.reaches(&ask.header("X-Add", "one").header("X-Remove", "gone"), "web");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    let added = answer.asked_header("x-add").join(",");
    assert_eq!(added.replace(' ', ""), "one,more");
    assert!(answer.asked_header("x-remove").is_empty());
}

#[test]
fn http_route_response_header_modification() {
    let filters = "[{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Set, value: \
                   set}], add: [{name: X-Add, value: more}], remove: [X-Remove]}}]";
    let (space, address) = routed("response-headers", &["web"], &filtered(filters));
    let ask = Ask::get(address, 80, "any.example", "/");
    let ask = ask.header("X-Echo-Set-Header", "X-Set:before, X-Add:one, X-Remove:gone");
    let answer = space.reaches(&ask, "web");
    assert_eq!(answer.headers("x-set"), ["set"]);
    assert_eq!(answer.headers("x-add"), ["one", "more"]);
    assert_eq!(answer.header("x-remove"), None);
}

#[test]
fn http_route_backend_request_header_modification() {
    let rules = "  - backendRefs: [{name: web, port: 8080, filters: [{type: RequestHeaderModifier, \
                 requestHeaderModifier: {set: [{name: X-Backend-Set, value: here}]}}]}]";
    let (space, address) = routed("backend-headers", &["web"], rules);
    let answer = space.reaches(&Ask::get(address, 80, "any.example", "/"), "web");
    assert_eq!(answer.asked_header("x-backend-set"), ["here"]);
}

#[test]
fn http_route_redirects() {
    let rule = |path: &str, redirect: &str| {
        format!(
            "  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n    filters: [{{type: \
             RequestRedirect, requestRedirect: {redirect}}}]\n"
        )
    };
    let rules = [
        rule("/host", "{hostname: other.example, statusCode: 301}"),
        rule("/scheme", "{scheme: https}"),
        rule("/port", "{port: 8083}"),
        rule("/full", "{path: {type: ReplaceFullPath, replaceFullPath: /whole}}"),
        rule("/prefix", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /other}}"),
        rule("/303", "{hostname: other.example, statusCode: 303}"),
        rule("/307", "{hostname: other.example, statusCode: 307}"),
        rule("/308", "{hostname: other.example, statusCode: 308}"),
    ];
    let (space, address) = routed("redirects", &[], &rules.concat());
    for (path, status, location) in [
        ("/host", 301, "http://other.example/host"),
        ("/scheme/x", 302, "https://any.example/scheme/x"),
        ("/port", 302, "http://any.example:8083/port"),
        ("/full/x", 302, "http://any.example/whole"),
        ("/prefix/x?y=z", 302, "http://any.example/other/x?y=z"),
        ("/303", 303, "http://other.example/303"),
        ("/307", 307, "http://other.example/307"),
        ("/308", 308, "http://other.example/308"),
    ] {
        let answer = space.status(&Ask::get(address, 80, "any.example", path), status);
        assert_eq!(answer.header("location"), Some(location), "{path}");
    }
}

#[test]
fn http_route_rewrites() {
    let rule = |path: &str, rewrite: &str| {
        format!(
            "  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n    filters: [{{type: \
             URLRewrite, urlRewrite: {rewrite}}}]\n    backendRefs: [{{name: web, port: 8080}}]\n"
        )
    };
    let rules = [
        rule("/host", "{hostname: inner.example}"),
        rule("/full", "{path: {type: ReplaceFullPath, replaceFullPath: /one}}"),
        rule("/prefix", "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}"),
    ];
    let (space, address) = routed("rewrites", &["web"], &rules.concat());
    let ask = |path| Ask::get(address, 80, "any.example", path);
    assert_eq!(space.reaches(&ask("/host"), "web").asked_host(), "inner.example");
    assert_eq!(space.reaches(&ask("/full/x?q=1"), "web").asked_path(), "/one?q=1");
    assert_eq!(space.reaches(&ask("/prefix/x"), "web").asked_path(), "/x");
    assert_eq!(space.reaches(&ask("/prefix"), "web").asked_path(), "/");
}

#[test]
fn http_route_cors() {
    let filters = "[{type: CORS, cors: {allowOrigins: ['https://shop.example'], allowMethods: [GET, \
                   PUT], allowHeaders: [x-one], maxAge: 60}}]";
    let (space, address) = routed("cors", &["web"], &filtered(filters));
    let ask = Ask::get(address, 80, "any.example", "/");
    let preflight = |origin| {
        let ask = ask.clone().method("OPTIONS").header("Origin", origin);
        ask.header("Access-Control-Request-Method", "PUT")
    };
    let good = space.ask(&preflight("https://shop.example"), "the preflight is answered", |it| {
        it.header("access-control-allow-origin") == Some("https://shop.example")
    });
    assert_eq!(good.header("access-control-max-age"), Some("60"));
    let bad = preflight("https://evil.example").once(space.suite()).unwrap();
    assert_eq!(bad.header("access-control-allow-origin"), None);
}

#[test]
fn http_route_timeouts() {
    let rules = "  - matches: [{path: {type: PathPrefix, value: /request}}]
    timeouts: {request: 300ms}
    backendRefs: [{name: web, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /backend}}]
    timeouts: {backendRequest: 300ms}
    backendRefs: [{name: web, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /none}}]
    timeouts: {request: 0s}
    backendRefs: [{name: web, port: 8080}]";
    let (space, address) = routed("timeouts", &["web"], rules);
    let ask = |path| Ask::get(address, 80, "any.example", path);
    space.reaches(&ask("/request"), "web");
    space.status(&ask("/request?delay_ms=2000"), 504);
    space.status(&ask("/backend?delay_ms=2000"), 504);
    space.reaches(&ask("/none?delay_ms=500"), "web");
}

#[test]
fn http_route_request_mirrors() {
    let mirror = |name: &str| {
        format!(
            "{{type: RequestMirror, requestMirror: {{backendRef: {{name: {name}, port: 8080}}}}}}"
        )
    };
    let filters = format!("[{}, {}]", mirror("copy"), mirror("other"));
    let (space, address) = routed("mirrors", &["web", "copy", "other"], &filtered(&filters));
    space.reaches(&Ask::get(address, 80, "any.example", "/mirrored"), "web");
    for copy in ["copy", "other"] {
        let seen = lb_tests::wait::eventually(std::time::Duration::from_secs(20), "a copy", || {
            space.asked(copy).iter().any(|it| it == "/mirrored").then_some(())
        });
        seen.unwrap();
    }
}

#[test]
fn http_route_backend_protocols() {
    let mut space = Suite::shared().space("protocols");
    space.backends_speaking("h2c", 1, &Speaks::Http, "appProtocol: kubernetes.io/h2c");
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{backendRefs: [{name: h2c, port: 8080}]}]",
    );
    let address = space.address("gateway");
    let answer = space.reaches(&Ask::get(address, 80, "any.example", "/"), "h2c");
    assert_eq!(answer.echoed.unwrap().protocol, "HTTP/2");
}
