//! What a request may take, and when it is tried again.

use super::super::scene::{HTTP, get, routed, rule, space};
use lb_tests::{
    conformance::{
        Case,
        Feature::{
            HTTPRoute, HTTPRouteBackendTimeout, HTTPRouteRequestTimeout, HTTPRouteRetry,
            HTTPRouteRetryBackendTimeout, HTTPRouteRetryConnectionError,
        },
        Space,
    },
    port::Port,
};
use std::net::{IpAddr, SocketAddr};

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

/// How often a request is made that has to be in time.
const ROUNDS_MAX: usize = 20;

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
    let status = tried(&space, address, "/late?status=503&times=1", 1);
    assert!(status >= 500, "{status}");
}

/// What a request is answered after so many tries, never more; a busy machine may be late for some of
/// them, but not every time.
fn tried(space: &Space, address: IpAddr, path: &str, tries: usize) -> u16 {
    let status = (0..ROUNDS_MAX).find_map(|number| {
        let path = format!("{path}&number={number}");
        let answer = get(address, "any.example", &path).once(space.suite()).unwrap();
        let count = space.asked("web").into_iter().filter(|it| *it == path).count();
        assert!(count <= tries, "{path}: {count} tries");
        (count == tries).then_some(answer.status)
    });
    assert!(status.is_some(), "{path} was never tried {tries} times");
    status.unwrap()
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
    let status = tried(&space, address, "/again?delay_ms=3000&times=3", 3);
    assert_eq!(status, 504);
}

#[test]
fn http_route_retry_connection_error() {
    let space = space("retry-connect", &["web"]);
    // A port that nobody listens on: a connection to it is refused.
    let gone = Port::reserve().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], gone.number()));
    space.endpoints("web", "TCP", &[("web-gone".to_owned(), address)]);
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
