//! Copies of requests.

use super::super::scene::{get, routed, rule};
use lb_tests::{
    conformance::{
        Case,
        Feature::{
            HTTPRoute, HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors,
            HTTPRouteRequestPercentageMirror,
        },
        LIMIT, Space,
    },
    wait::eventually,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteRequestMirror",
        "http_route_request_mirror",
        &[HTTPRoute, HTTPRouteRequestMirror],
    ),
    Case::upstream(
        "HTTPRouteRequestMultipleMirrors",
        "http_route_request_multiple_mirrors",
        &[HTTPRoute, HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors],
    ),
    Case::provisional(
        "HTTPRouteRequestPercentageMirror",
        "http_route_request_percentage_mirror",
        &[HTTPRoute, HTTPRouteRequestPercentageMirror],
    ),
];

/// A filter that copies requests to a backend; `share` is what else it says.
fn mirror(name: &str, share: &str) -> String {
    format!(
        "{{type: RequestMirror, requestMirror: {{backendRef: {{name: {name}, port: 8080}}{share}}}}}"
    )
}

/// A rule that leads to a backend of copies by itself.
fn known(name: &str) -> String {
    rule(&format!("/only-{name}"), "", name)
}

/// Waits until a backend of copies can be asked: until then copies to it are lost.
fn is_known(space: &Space, address: IpAddr, name: &str) {
    space.reaches(&get(address, "any.example", &format!("/only-{name}")), name);
}

fn copies(space: &Space, service: &str, path: &str) -> usize {
    space.asked(service).iter().filter(|it| *it == path).count()
}

fn gets_a_copy(space: &Space, service: &str, path: &str) {
    let seen = eventually(LIMIT, "a copy", || (copies(space, service, path) > 0).then_some(()));
    seen.unwrap();
}

#[test]
fn http_route_request_mirror() {
    let filters = format!("filters: [{}]", mirror("copy", ""));
    let changed = format!(
        "filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: X-Set, value: \
         set}}]}}}}, {}]",
        mirror("copy", "")
    );
    let rules =
        [rule("/mirrored", &filters, "web"), rule("/changed", &changed, "web"), known("copy")];
    let (space, address) = routed("mirror", &["web", "copy"], &rules.concat());
    is_known(&space, address, "copy");
    space.reaches(&get(address, "any.example", "/mirrored"), "web");
    gets_a_copy(&space, "copy", "/mirrored");
    let answer = space.reaches(&get(address, "any.example", "/changed"), "web");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    gets_a_copy(&space, "copy", "/changed");
}

#[test]
fn http_route_request_multiple_mirrors() {
    let filters = format!("filters: [{}, {}]", mirror("copy", ""), mirror("other", ""));
    let rules = [rule("/", &filters, "web"), known("copy"), known("other")];
    let (space, address) = routed("mirrors", &["web", "copy", "other"], &rules.concat());
    for copy in ["copy", "other"] {
        is_known(&space, address, copy);
    }
    space.reaches(&get(address, "any.example", "/mirrored"), "web");
    for copy in ["copy", "other"] {
        gets_a_copy(&space, copy, "/mirrored");
    }
}

#[test]
fn http_route_request_percentage_mirror() {
    let filters = |share: &str| format!("filters: [{}]", mirror("copy", share));
    let rules = [
        rule("/percent", &filters(", percent: 20"), "web"),
        rule("/fraction", &filters(", fraction: {numerator: 25, denominator: 50}"), "web"),
        rule("/none", &filters(", percent: 0"), "web"),
        rule("/all", &filters(", percent: 100"), "web"),
        known("copy"),
    ];
    let (space, address) = routed("mirror-share", &["web", "copy"], &rules.concat());
    is_known(&space, address, "copy");
    let asks = 400;
    // More than six standard deviations of a binomial distribution on either side.
    for (path, least, most) in [("/percent", 28, 134), ("/fraction", 135, 265), ("/none", 0, 0)] {
        let ask = get(address, "any.example", path);
        space.reaches(&ask, "web");
        let before = copies(&space, "copy", path);
        for _ in 0..asks {
            assert!(ask.once(space.suite()).unwrap().is_from("web"));
        }
        let count = || copies(&space, "copy", path) - before;
        let enough = eventually(LIMIT, "copies", || (count() >= least).then_some(()));
        enough.unwrap();
        assert!(count() <= most, "{path}: {} copies of {asks}", count());
    }
    space.reaches(&get(address, "any.example", "/all"), "web");
    gets_a_copy(&space, "copy", "/all");
}
