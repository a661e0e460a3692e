//! Copies of requests.

use super::super::scene::{get, routed, rule};
use lb_tests::{
    conformance::{
        Case,
        Feature::{
            HTTPRoute, HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors,
            HTTPRouteRequestPercentageMirror,
        },
        Space,
    },
    wait::eventually,
};
use std::time::Duration;

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

fn copies(space: &Space, service: &str, path: &str) -> usize {
    space.asked(service).iter().filter(|it| *it == path).count()
}

fn gets_a_copy(space: &Space, service: &str, path: &str) {
    let seen = eventually(Duration::from_secs(20), "a copy", || {
        (copies(space, service, path) > 0).then_some(())
    });
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
    let rules = [rule("/mirrored", &filters, "web"), rule("/changed", &changed, "web")];
    let (space, address) = routed("mirror", &["web", "copy"], &rules.concat());
    space.reaches(&get(address, "any.example", "/mirrored"), "web");
    gets_a_copy(&space, "copy", "/mirrored");
    let answer = space.reaches(&get(address, "any.example", "/changed"), "web");
    assert_eq!(answer.asked_header("x-set"), ["set"]);
    gets_a_copy(&space, "copy", "/changed");
}

#[test]
fn http_route_request_multiple_mirrors() {
    let filters = format!("filters: [{}, {}]", mirror("copy", ""), mirror("other", ""));
    let rules = rule("/", &filters, "web");
    let (space, address) = routed("mirrors", &["web", "copy", "other"], &rules);
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
    ];
    let (space, address) = routed("mirror-share", &["web", "copy"], &rules.concat());
    let asks = 300;
    // Six standard deviations of a binomial distribution on either side.
    for (path, least, most) in [("/percent", 18, 102), ("/fraction", 98, 202), ("/none", 0, 0)] {
        let ask = get(address, "any.example", path);
        space.reaches(&ask, "web");
        let before = copies(&space, "copy", path);
        for _ in 0..asks {
            assert!(ask.once(space.suite()).unwrap().is_from("web"));
        }
        let count = || copies(&space, "copy", path) - before;
        let enough =
            eventually(Duration::from_secs(20), "copies", || (count() >= least).then_some(()));
        enough.unwrap();
        assert!(count() <= most, "{path}: {} copies of {asks}", count());
    }
    space.reaches(&get(address, "any.example", "/all"), "web");
    gets_a_copy(&space, "copy", "/all");
}
