//! What a request may take, and when it is tried again.

use super::super::scene::{HTTP, get, routed, rule, space};
use lb_tests::conformance::{
    Case,
    Feature::{
        HTTPRoute, HTTPRouteBackendTimeout, HTTPRouteRequestTimeout, HTTPRouteRetry,
        HTTPRouteRetryBackendTimeout, HTTPRouteRetryConnectionError,
    },
};
use std::net::TcpListener;

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteTimeoutRequest",
        "http_route_timeout_request",
        &[HTTPRoute, HTTPRouteRequestTimeout],
    ),
    Case::upstream(
        "HTTPRouteTimeoutBackendRequest",
        "http_route_timeout_backend_request",
        &[HTTPRoute, HTTPRouteBackendTimeout],
    ),
    Case::upstream("HTTPRouteRetry", "http_route_retry", &[HTTPRoute, HTTPRouteRetry]),
    Case::ours("http_route_retry_backoff", &[HTTPRoute, HTTPRouteRetry]),
    Case::ours(
        "http_route_retry_backend_timeout",
        &[HTTPRoute, HTTPRouteBackendTimeout, HTTPRouteRetry, HTTPRouteRetryBackendTimeout],
    ),
    Case::ours(
        "http_route_retry_connection_error",
        &[HTTPRoute, HTTPRouteRetry, HTTPRouteRetryConnectionError],
    ),
];

#[test]
fn http_route_timeout_request() {
    let rules = [
        rule("/limited", "timeouts: {request: 500ms}", "web"),
        rule("/unlimited", "timeouts: {request: 0s}", "web"),
    ];
    let (space, address) = routed("timeout", &["web"], &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/limited"), "web");
    space.status(&ask("/limited?delay_ms=3000"), 504);
    space.reaches(&ask("/unlimited?delay_ms=1000"), "web");
}

#[test]
fn http_route_timeout_backend_request() {
    let rules = [
        rule("/limited", "timeouts: {backendRequest: 500ms}", "web"),
        rule("/unlimited", "timeouts: {backendRequest: 0s}", "web"),
    ];
    let (space, address) = routed("backend-timeout", &["web"], &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/limited"), "web");
    space.status(&ask("/limited?delay_ms=3000"), 504);
    space.reaches(&ask("/unlimited?delay_ms=1000"), "web");
}

#[test]
fn http_route_retry() {
    let rules = [
        rule("/some", "retry: {codes: [500], attempts: 3}", "web"),
        rule("/all", "retry: {codes: [500, 502, 503, 504], attempts: 2}", "web"),
        rule("/never", "", "web"),
    ];
    let (space, address) = routed("retry", &["web"], &rules.concat());
    space.reaches(&get(address, "any.example", "/never"), "web");
    // The path, how often the backend fails, its status, what the client gets, and after how many
    // tries.
    for (path, failures, status, got, tries) in [
        ("/some", 3, 500, 200, 4),
        ("/some", 4, 500, 500, 4),
        ("/some", 1, 503, 503, 1),
        ("/all", 2, 500, 200, 3),
        ("/all", 3, 500, 500, 3),
        ("/all", 2, 502, 200, 3),
        ("/all", 3, 502, 502, 3),
        ("/all", 2, 503, 200, 3),
        ("/all", 3, 503, 503, 3),
        ("/all", 2, 504, 200, 3),
        ("/all", 3, 504, 504, 3),
        ("/never", 1, 500, 500, 1),
    ] {
        let path = format!("{path}?status={status}&times={failures}");
        let answer = get(address, "any.example", &path).once(space.suite()).unwrap();
        assert_eq!(answer.status, got, "{path}");
        let asked = space.asked("web").into_iter().filter(|it| *it == path).count();
        assert_eq!(asked, tries, "{path}");
    }
}

#[test]
fn http_route_retry_backoff() {
    // The second try would be answered, but the request's time is over before it.
    let rules = [
        rule(
            "/soon",
            "timeouts: {request: 5s}, retry: {codes: [503], attempts: 1, backoff: 10ms}",
            "web",
        ),
        rule(
            "/late",
            "timeouts: {request: 1s}, retry: {codes: [503], attempts: 1, backoff: 20s}",
            "web",
        ),
    ];
    let (space, address) = routed("backoff", &["web"], &rules.concat());
    space.reaches(&get(address, "any.example", "/soon"), "web");
    space.reaches(&get(address, "any.example", "/soon?status=503&times=1"), "web");
    let late = get(address, "any.example", "/late?status=503&times=1").once(space.suite()).unwrap();
    assert!(late.status >= 500, "{late:?}");
    assert_eq!(space.asked("web").iter().filter(|it| it.starts_with("/late")).count(), 1);
}

#[test]
fn http_route_retry_backend_timeout() {
    let rules = [
        rule("/once", "timeouts: {backendRequest: 500ms}", "web"),
        rule(
            "/again",
            "timeouts: {request: 20s, backendRequest: 500ms}, retry: {codes: [504], attempts: 2}",
            "web",
        ),
    ];
    let (space, address) = routed("retry-timeout", &["web"], &rules.concat());
    space.reaches(&get(address, "any.example", "/once"), "web");
    space.status(&get(address, "any.example", "/once?delay_ms=3000"), 504);
    space.reaches(&get(address, "any.example", "/again?delay_ms=3000&times=2"), "web");
    let path = "/again?delay_ms=3000&times=3";
    let answer = get(address, "any.example", path).once(space.suite()).unwrap();
    assert_eq!(answer.status, 504);
    assert_eq!(space.asked("web").iter().filter(|it| *it == path).count(), 3);
}

#[test]
fn http_route_retry_connection_error() {
    let space = space("retry-connect", &["web"]);
    // A port that nobody listens on any more: a connection to it is refused.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    space.endpoints("web", "TCP", &[("web-gone".to_owned(), gone)]);
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules: [{retry: {attempts: 3}, backendRefs: [{name: web, port: \
         8080}]}]",
    );
    let ask = get(space.address("gateway"), "any.example", "/").method("POST");
    space.reaches(&ask, "web");
    for _ in 0..30 {
        assert!(ask.once(space.suite()).unwrap().is_from("web"));
    }
}
