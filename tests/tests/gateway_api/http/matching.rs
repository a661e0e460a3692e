//! Which rule a request gets.

use super::super::scene::{HTTP, PARENT, get, routed, space};
use lb_tests::conformance::{
    Case,
    Feature::{
        HTTPRoute, HTTPRouteMethodMatching, HTTPRouteNamedRouteRule, HTTPRouteQueryParamMatching,
    },
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteSimpleSameNamespace",
        "http_route_simple_same_namespace",
        &[HTTPRoute],
    ),
    Case::upstream("HTTPRouteExactPathMatching", "http_route_exact_path_matching", &[HTTPRoute]),
    Case::upstream("HTTPRoutePathMatchOrder", "http_route_path_match_order", &[HTTPRoute]),
    Case::upstream("HTTPRouteHeaderMatching", "http_route_header_matching", &[HTTPRoute]),
    Case::upstream("HTTPRouteMatching", "http_route_matching", &[HTTPRoute]),
    Case::upstream(
        "HTTPRouteMatchingAcrossRoutes",
        "http_route_matching_across_routes",
        &[HTTPRoute],
    ),
    Case::ours("http_route_expression_matching", &[HTTPRoute]),
    Case::ours(
        "http_route_match_precedence",
        &[HTTPRoute, HTTPRouteMethodMatching, HTTPRouteQueryParamMatching],
    ),
    Case::upstream(
        "HTTPRouteMethodMatching",
        "http_route_method_matching",
        &[HTTPRoute, HTTPRouteMethodMatching],
    ),
    Case::upstream(
        "HTTPRouteQueryParamMatching",
        "http_route_query_param_matching",
        &[HTTPRoute, HTTPRouteQueryParamMatching],
    ),
    Case::provisional(
        "HTTPRouteNamedRule",
        "http_route_named_rule",
        &[HTTPRoute, HTTPRouteNamedRouteRule],
    ),
];

/// A rule: its matches (YAML, in flow style) and its backend.
fn rule(matches: &str, backend: &str) -> String {
    format!("  - {{matches: [{matches}], backendRefs: [{{name: {backend}, port: 8080}}]}}\n")
}

const ONE_TWO_THREE: &[&str] = &["one", "two", "three"];

#[test]
fn http_route_simple_same_namespace() {
    let (space, address) = routed("simple", &["web"], "  - backendRefs: [{name: web, port: 8080}]");
    let answer = space.reaches(&get(address, "any.example", "/path?x=y"), "web");
    assert_eq!(answer.asked_path(), "/path?x=y");
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
}

#[test]
fn http_route_exact_path_matching() {
    let rules = [
        rule("{path: {type: Exact, value: /one}}", "one"),
        rule("{path: {type: Exact, value: /two/}}", "two"),
    ];
    let (space, address) = routed("exact", ONE_TWO_THREE, &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/one"), "one");
    space.reaches(&ask("/two/"), "two");
    for path in ["/", "/one/", "/one/more", "/ONE", "/oneX", "/two", "/two/x"] {
        space.status(&ask(path), 404);
    }
}

#[test]
fn http_route_path_match_order() {
    let rules = [
        rule("{path: {type: PathPrefix, value: /match}}", "prefix"),
        rule("{path: {type: PathPrefix, value: /match/longer}}", "longer"),
        rule("{path: {type: Exact, value: /match/exact}}", "exact"),
        rule("{path: {type: PathPrefix, value: /match/exact}}", "longer"),
    ];
    let (space, address) = routed("path-order", &["prefix", "longer", "exact"], &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/match/other"), "prefix");
    space.reaches(&ask("/match/longer/x"), "longer");
    space.reaches(&ask("/match/longerx"), "prefix");
    space.reaches(&ask("/match/exact"), "exact");
    space.reaches(&ask("/match/exact/x"), "longer");
    space.status(&ask("/matchx"), 404);
}

#[test]
fn http_route_header_matching() {
    let rules = [
        rule("{headers: [{name: version, value: one}]}", "one"),
        rule(
            "{headers: [{name: Version, value: two}, {name: color, value: blue}]}, {headers: [{name: \
             color, value: green}]}",
            "two",
        ),
        rule(
            "{headers: [{name: color, value: red}]}, {headers: [{name: color, value: yellow}]}",
            "three",
        ),
    ];
    let (space, address) = routed("headers", ONE_TWO_THREE, &rules.concat());
    let ask = get(address, "any.example", "/");
    space.reaches(&ask.clone().header("VERSION", "one"), "one");
    space.reaches(&ask.clone().header("version", "two").header("color", "blue"), "two");
    space.reaches(&ask.clone().header("color", "green"), "two");
    space.reaches(&ask.clone().header("color", "red"), "three");
    space.reaches(&ask.clone().header("color", "yellow"), "three");
    for (name, value) in
        [("version", "two"), ("version", "One"), ("color", "blue"), ("other", "one")]
    {
        space.status(&ask.clone().header(name, value), 404);
    }
    space.status(&ask, 404);
}

#[test]
fn http_route_matching() {
    let rules = [
        rule(
            "{path: {type: PathPrefix, value: /}}, {headers: [{name: version, value: one}]}",
            "one",
        ),
        rule(
            "{path: {type: PathPrefix, value: /v2}}, {headers: [{name: version, value: two}]}",
            "two",
        ),
    ];
    let (space, address) = routed("matching", ONE_TWO_THREE, &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/"), "one");
    space.reaches(&ask("/example"), "one");
    space.reaches(&ask("/").header("version", "one"), "one");
    space.reaches(&ask("/v2"), "two");
    space.reaches(&ask("/v2/example"), "two");
    space.reaches(&ask("/").header("version", "two"), "two");
    // Whole segments only.
    space.reaches(&ask("/v2example"), "one");
    space.reaches(&ask("/foo/v2/example"), "one");
}

#[test]
fn http_route_matching_across_routes() {
    let space = space("across", ONE_TWO_THREE);
    space.gateway("gateway", HTTP);
    let route = |name: &str, hosts: &str, rules: &str| {
        let spec = format!("  parentRefs: [{PARENT}]\n  hostnames: [{hosts}]\n  rules:\n{rules}");
        space.route("HTTPRoute", name, &spec);
    };
    route(
        "first",
        "example.com, example.net",
        &rule(
            "{path: {type: PathPrefix, value: /}}, {headers: [{name: version, value: one}]}",
            "one",
        ),
    );
    route(
        "second",
        "example.com",
        &rule(
            "{path: {type: PathPrefix, value: /v2}}, {headers: [{name: version, value: two}]}",
            "two",
        ),
    );
    let address = space.address("gateway");
    space.reaches(&get(address, "example.com", "/"), "one");
    space.reaches(&get(address, "example.com", "/example"), "one");
    space.reaches(&get(address, "example.net", "/v2"), "one");
    space.reaches(&get(address, "example.net", "/").header("version", "two"), "one");
    space.reaches(&get(address, "example.com", "/v2"), "two");
    space.reaches(&get(address, "example.com", "/").header("version", "two"), "two");
    space.reaches(&get(address, "example.com", "/v2example"), "one");
    space.status(&get(address, "example.org", "/"), 404);
}

#[test]
fn http_route_expression_matching() {
    let rules = [
        rule("{path: {type: RegularExpression, value: '/item/[0-9]+'}}", "one"),
        rule("{headers: [{name: like, type: RegularExpression, value: 'a+b'}]}", "two"),
        rule("{queryParams: [{name: like, type: RegularExpression, value: 'c+d'}]}", "three"),
    ];
    let (space, address) = routed("expressions", ONE_TWO_THREE, &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/item/12"), "one");
    space.status(&ask("/item/twelve"), 404);
    space.reaches(&ask("/").header("like", "aaab"), "two");
    space.status(&ask("/").header("like", "xab"), 404);
    space.reaches(&ask("/?like=ccd"), "three");
    space.status(&ask("/?like=d"), 404);
}

#[test]
fn http_route_match_precedence() {
    // Path over method over the number of headers over that of parameters, then the older route.
    let (space, address) = routed(
        "precedence",
        &["path", "method", "headers", "header", "queries", "query", "late"],
        &[
            rule("{queryParams: [{name: a, value: x}]}", "query"),
            rule("{queryParams: [{name: a, value: x}, {name: b, value: z}]}", "queries"),
            rule("{headers: [{name: one, value: x}]}", "header"),
            rule("{headers: [{name: one, value: x}, {name: two, value: z}]}", "headers"),
            rule("{method: POST}", "method"),
            rule("{path: {type: PathPrefix, value: /deep}}", "path"),
            rule("{queryParams: [{name: a, value: x}]}", "late"),
        ]
        .concat(),
    );
    let all = |path| {
        let ask = get(address, "any.example", path).method("POST");
        ask.header("one", "x").header("two", "z")
    };
    space.reaches(&all("/deep?a=x&b=z"), "path");
    space.reaches(&all("/?a=x&b=z"), "method");
    space.reaches(&all("/?a=x&b=z").method("GET"), "headers");
    space.reaches(&get(address, "any.example", "/?a=x&b=z").header("one", "x"), "header");
    space.reaches(&get(address, "any.example", "/?a=x&b=z"), "queries");
    space.reaches(&get(address, "any.example", "/?a=x"), "query");
}

#[test]
fn http_route_method_matching() {
    let rules = [
        rule("{method: POST}", "one"),
        rule("{method: GET}", "two"),
        rule("{path: {type: PathPrefix, value: /path1}, method: GET}", "one"),
        rule("{headers: [{name: version, value: one}], method: PUT}", "two"),
        rule(
            "{path: {type: PathPrefix, value: /path2}, headers: [{name: version, value: two}], method: \
             POST}",
            "three",
        ),
        rule(
            "{path: {type: PathPrefix, value: /path3}, method: PATCH}, {headers: [{name: version, value: \
              three}], method: DELETE}",
            "one",
        ),
    ];
    let (space, address) = routed("method", ONE_TWO_THREE, &rules.concat());
    let ask = |method, path| get(address, "any.example", path).method(method);
    space.reaches(&ask("POST", "/"), "one");
    space.reaches(&ask("GET", "/"), "two");
    space.reaches(&ask("GET", "/path1"), "one");
    space.reaches(&ask("PUT", "/").header("version", "one"), "two");
    space.reaches(&ask("POST", "/path2").header("version", "two"), "three");
    space.reaches(&ask("PATCH", "/path3"), "one");
    space.reaches(&ask("DELETE", "/path4").header("version", "three"), "one");
    space.status(&ask("HEAD", "/"), 404);
    space.status(&ask("PUT", "/"), 404);
    space.status(&ask("PATCH", "/"), 404);
}

#[test]
fn http_route_query_param_matching() {
    let rules = [
        rule("{queryParams: [{name: animal, value: whale}]}", "one"),
        rule(
            "{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}, {queryParams: \
              [{name: ANIMAL, value: Whale}]}",
            "two",
        ),
        rule(
            "{path: {type: PathPrefix, value: /path1}, queryParams: [{name: animal, value: whale}]}",
            "three",
        ),
        rule(
            "{headers: [{name: version, value: one}], queryParams: [{name: animal, value: dolphin}]}",
            "three",
        ),
    ];
    let (space, address) = routed("query", ONE_TWO_THREE, &rules.concat());
    let ask = |path| get(address, "any.example", path);
    space.reaches(&ask("/?animal=whale"), "one");
    space.reaches(&ask("/?animal=whale&otherparam=irrelevant"), "one");
    space.reaches(&ask("/?color=blue&animal=dolphin"), "two");
    space.reaches(&ask("/?ANIMAL=Whale"), "two");
    space.reaches(&ask("/path1?animal=whale"), "three");
    space.reaches(&ask("/?animal=dolphin").header("version", "one"), "three");
    for path in [
        "/",
        "/?animal=dolphin",
        "/?color=blue",
        "/?animal=dog",
        "/?animal=whaledolphin",
        "/?Animal=whale",
    ] {
        space.status(&ask(path), 404);
    }
}

#[test]
fn http_route_named_rule() {
    let rules = "  - {name: named, matches: [{path: {type: PathPrefix, value: /named}}], backendRefs: \
                 [{name: one, port: 8080}]}\n  - {matches: [{path: {type: PathPrefix, value: /unnamed}}], \
                 backendRefs: [{name: two, port: 8080}]}";
    let (space, address) = routed("named", ONE_TWO_THREE, rules);
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.reaches(&get(address, "any.example", "/named"), "one");
    space.reaches(&get(address, "any.example", "/unnamed"), "two");
}
