//! What the upstream suite has no tests of: services that are asked first, and URLs that are
//! rewritten for one backend.

use super::super::scene::{get, routed, rule};
use lb_tests::conformance::{
    Case,
    Feature::{HTTPRoute, HTTPRouteHostRewrite, HTTPRoutePathRewrite},
};

pub(crate) const CASES: &[Case] = &[
    Case::ours("http_route_external_auth", &[HTTPRoute]),
    Case::ours(
        "http_route_backend_url_rewrite",
        &[HTTPRoute, HTTPRouteHostRewrite, HTTPRoutePathRewrite],
    ),
];

#[test]
fn http_route_external_auth() {
    let auth = |backend: &str| {
        format!(
            "filters: [{{type: ExternalAuth, externalAuth: {{protocol: HTTP, backendRef: {{name: {backend}, \
             port: 8080}}, http: {{path: /check, allowedResponseHeaders: [X-Backend]}}}}}}]"
        )
    };
    let rules = [rule("/guarded", &auth("guard"), "web"), rule("/lost", &auth("nobody"), "web")];
    let (space, address) = routed("auth", &["web", "guard"], &rules.concat());
    // The guard is asked for the path under its own, and what it says of itself goes on.
    let answer = space.reaches(&get(address, "any.example", "/guarded"), "web");
    assert_eq!(answer.asked_header("x-backend"), ["guard-0"]);
    assert!(
        space.asked("guard").contains(&"/check/guarded".to_owned()),
        "{:?}",
        space.asked("guard")
    );
    // What it refuses does not go on.
    let refused = get(address, "any.example", "/guarded?status=403");
    space.status(&refused, 403);
    assert!(!space.asked("web").iter().any(|it| it.contains("status=403")));
    // Nothing passes without it.
    space.status(&get(address, "any.example", "/lost"), 500);
    assert!(!space.asked("web").iter().any(|it| it.starts_with("/lost")));
}

#[test]
fn http_route_backend_url_rewrite() {
    let backend = |name: &str| {
        format!(
            "{{name: {name}, port: 8080, filters: [{{type: URLRewrite, urlRewrite: {{hostname: \
             {name}.inner.example, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /{name}}}}}}}]}}"
        )
    };
    let rules = format!(
        "  - {{matches: [{{path: {{type: PathPrefix, value: /from}}}}], backendRefs: [{}, {}]}}",
        backend("one"),
        backend("two")
    );
    let (space, address) = routed("backend-rewrite", &["one", "two"], &rules);
    let ask = get(address, "any.example", "/from/x?y=z");
    for name in ["one", "two"] {
        let answer = space.reaches(&ask, name);
        assert_eq!(answer.asked_host(), format!("{name}.inner.example"));
        assert_eq!(answer.asked_path(), format!("/{name}/x?y=z"));
    }
}
