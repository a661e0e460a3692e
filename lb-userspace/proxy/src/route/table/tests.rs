use super::*;
use crate::http::Method;
use lb_model::{FieldMatch, Rule, ValueMatch};
use proptest::prelude::*;

fn route(hosts: &[&str], age: u64, matches: &[RequestMatch]) -> Route {
    let rules = matches.iter().map(|it| Rule { matches: vec![it.clone()], ..Rule::default() });
    Route {
        listeners: ["web".to_owned()].into(),
        hosts: hosts.iter().map(|it| it.parse().unwrap()).collect(),
        age,
        rules: rules.collect(),
    }
}

fn path(path: PathMatch) -> RequestMatch {
    RequestMatch { path, ..RequestMatch::default() }
}

fn exact(text: &str) -> RequestMatch {
    path(PathMatch::Exact(text.to_owned()))
}

fn prefix(text: &str) -> RequestMatch {
    path(PathMatch::Prefix(text.to_owned()))
}

fn with_header(mut wanted: RequestMatch, name: &str, value: ValueMatch) -> RequestMatch {
    wanted.headers.push(FieldMatch { name: name.to_owned(), value });
    wanted
}

fn table(listener: &str, routes: &[(&str, Route)]) -> Table<String> {
    let mut builder = TableBuilder::new(listener.parse().unwrap());
    for (name, route) in routes {
        builder.add(&(*name).into(), route, |rule| Some(format!("{name}{rule}"))).unwrap();
    }
    builder.build()
}

fn found(table: &Table<String>, host: &str, target: &str) -> Option<String> {
    let request = Request::new(Method::Get, host, target);
    table.find(&request).map(|found| found.value.clone())
}

#[test]
fn a_method_of_any_service_comes_after_those_of_one() {
    let rules = [
        prefix("/"),
        path(PathMatch::Method("Ping".to_owned())),
        prefix("/shop.Cart"),
        exact("/shop.Till/Ping"),
    ];
    let table = table("*", &[("r", route(&[], 0, &rules))]);
    for (target, rule) in [
        ("/shop.Till/Ping", "r3"),
        ("/shop.Cart/Ping", "r2"),
        ("/shop.Door/Ping", "r1"),
        ("/shop.Door/Ping?a=b", "r1"),
        ("/shop.Door/Open", "r0"),
        ("/Ping", "r0"),
        ("//Ping", "r0"),
        ("/a/b/Ping", "r0"),
        ("/a/Ping/", "r0"),
    ] {
        assert_eq!(found(&table, "a", target).as_deref(), Some(rule), "{target}");
    }
}

#[test]
fn exact_paths_then_patterns_then_the_longest_prefix() {
    let rules = [
        prefix("/"),
        prefix("/shop"),
        prefix("/shop/cart/"),
        exact("/shop/cart"),
        path(PathMatch::Regex("/shop/[0-9]+".to_owned())),
    ];
    let table = table("*", &[("r", route(&[], 0, &rules))]);
    for (target, rule) in [
        ("/", "r0"),
        ("/shopping", "r0"),
        ("/shop", "r1"),
        ("/shop/", "r1"),
        ("/shop/12x", "r1"),
        ("/shop/12", "r4"),
        ("/shop/cart", "r3"),
        ("/shop/cart?a=b", "r3"),
        ("/shop/cart/", "r2"),
        ("/shop/cart/1", "r2"),
        ("/Shop", "r0"),
    ] {
        assert_eq!(found(&table, "any.example", target).as_deref(), Some(rule), "{target}");
    }
}

#[test]
fn hosts_are_taken_by_specificity_and_fall_through() {
    let routes = [
        ("any", route(&[], 0, &[prefix("/")])),
        ("wild", route(&["*.example"], 0, &[prefix("/w")])),
        ("deep", route(&["*.shop.example"], 0, &[prefix("/w")])),
        ("exact", route(&["a.shop.example"], 0, &[prefix("/e")])),
    ];
    let table = table("*", &routes);
    for (host, target, rule) in [
        ("a.shop.example", "/e", "exact0"),
        ("a.shop.example", "/w", "deep0"),
        ("b.shop.example:8080", "/w", "deep0"),
        ("shop.example", "/w", "wild0"),
        ("example", "/w", "any0"),
        ("A.SHOP.example.", "/e", "exact0"),
        ("a.shop.example", "/x", "any0"),
    ] {
        assert_eq!(found(&table, host, target).as_deref(), Some(rule), "{host}{target}");
    }
}

#[test]
fn a_listener_narrows_the_hosts_of_its_routes() {
    let routes = [
        ("all", route(&[], 0, &[prefix("/")])),
        ("wide", route(&["*.example"], 1, &[prefix("/wide")])),
        ("other", route(&["other.test"], 0, &[prefix("/")])),
    ];
    let table = table("*.shop.example", &routes);
    assert_eq!(found(&table, "a.shop.example", "/").as_deref(), Some("all0"));
    assert_eq!(found(&table, "a.shop.example", "/wide").as_deref(), Some("wide0"));
    assert_eq!(found(&table, "a.example", "/wide"), None);
    assert_eq!(found(&table, "other.test", "/"), None);
    let mut builder = TableBuilder::new("*.shop.example".parse().unwrap());
    assert!(!builder.add(&"other".into(), &routes[2].1, |_| Some(())).unwrap());
}

#[test]
fn more_conditions_come_first_then_age_then_name() {
    let json = with_header(prefix("/"), "accept", ValueMatch::Exact("json".to_owned()));
    let method = RequestMatch { method: Some("POST".to_owned()), ..prefix("/") };
    let both = with_header(json.clone(), "x-a", ValueMatch::Regex("[ab]".to_owned()));
    let query = FieldMatch { name: "q".to_owned(), value: ValueMatch::Present };
    let query = RequestMatch { query: vec![query], ..prefix("/") };
    let routes = [
        ("b", route(&[], 5, &[prefix("/"), json, both, method])),
        ("a", route(&[], 5, &[prefix("/")])),
        ("old", route(&[], 1, &[query])),
    ];
    let table = table("*", &routes);
    let find = |method: &str, fields: &[(&str, &str)], target: &str| {
        let mut request =
            Request::new(Method::parse(method.as_bytes()).unwrap(), "a.example", target);
        for (name, value) in fields {
            request.fields.append(*name, value.as_bytes());
        }
        table.find(&request).unwrap().value.clone()
    };
    assert_eq!(find("GET", &[], "/"), "a0", "equal age: the name decides");
    assert_eq!(find("GET", &[("Accept", "json")], "/"), "b1");
    assert_eq!(find("GET", &[("Accept", "json"), ("X-A", "b")], "/"), "b2");
    assert_eq!(find("GET", &[("Accept", "json"), ("X-A", "c")], "/"), "b1");
    assert_eq!(find("POST", &[("Accept", "json"), ("X-A", "b")], "/"), "b3");
    assert_eq!(find("GET", &[], "/?q"), "old0");
}

#[test]
fn prefixes_of_any_case() {
    let trigger = path(PathMatch::PrefixIgnoreCase("/Trigger".to_owned()));
    let table = table("*", &[("r", route(&[], 0, &[trigger, prefix("/trigger")]))]);
    assert_eq!(found(&table, "a", "/trigger/x").as_deref(), Some("r1"), "the exact case first");
    assert_eq!(found(&table, "a", "/TRIGGER").as_deref(), Some("r0"));
    assert_eq!(found(&table, "a", "/triggers"), None);
}

#[test]
fn an_explanation_names_what_was_wrong_with_each() {
    let json = with_header(prefix("/a"), "accept", ValueMatch::Exact("json".to_owned()));
    let table = table("*", &[("r", route(&[], 0, &[json, prefix("/a/b"), prefix("/")]))]);
    let explain = |target: &str| {
        let considered = table.explain(&Request::new(Method::Get, "a", target));
        considered.into_iter().map(|it| (it.source.rule, it.mismatch)).collect::<Vec<_>>()
    };
    assert_eq!(explain("/a/b"), [(1, None)]);
    assert_eq!(explain("/a"), [(0, Some(Mismatch::Header("accept".into()))), (2, None)]);
    let narrow = TableBuilder::<()>::new(HostPattern::Any).build();
    assert!(narrow.explain(&Request::new(Method::Get, "a", "/")).is_empty());
}

/// The Gateway API's order, written down naively: all rules, sorted, first match.
fn model(routes: &[(u64, String, Vec<PathMatch>)], target: &str) -> Option<String> {
    let mut candidates: Vec<_> = routes
        .iter()
        .flat_map(|(age, name, paths)| {
            paths.iter().enumerate().map(move |(rule, path)| (path, *age, name, rule))
        })
        .filter(|(path, ..)| match path {
            PathMatch::Exact(text) => text == target,
            PathMatch::Prefix(text) => {
                let text = text.strip_suffix('/').unwrap_or(text);
                target.strip_prefix(text).is_some_and(|it| it.is_empty() || it.starts_with('/'))
            }
            _ => false,
        })
        .collect();
    candidates.sort_by_key(|(path, age, name, rule)| {
        let (kind, text) = match path {
            PathMatch::Exact(text) => (0, text.as_str()),
            PathMatch::Prefix(text) => (1, text.strip_suffix('/').unwrap_or(text)),
            _ => (2, ""),
        };
        (kind, usize::MAX - text.len(), *age, (*name).clone(), *rule)
    });
    candidates.first().map(|(_, _, name, rule)| format!("{name}{rule}"))
}

fn any_path() -> impl Strategy<Value = PathMatch> {
    let text = || "(/[ab]{0,2}){1,4}";
    prop_oneof![text().prop_map(PathMatch::Exact), text().prop_map(PathMatch::Prefix)]
}

proptest! {
    #[test]
    fn the_table_agrees_with_sorting_all_rules(
        routes in prop::collection::vec(
            (0..3_u64, "[a-z]{3}", prop::collection::vec(any_path(), 1..6)), 1..6),
        targets in prop::collection::vec("(/[ab]{0,2}){1,5}", 1..20),
    ) {
        let compiled: Vec<_> = routes
            .iter()
            .map(|(age, name, paths)| {
                let matches: Vec<_> = paths.iter().cloned().map(path).collect();
                (name.as_str(), route(&[], *age, &matches))
            })
            .collect();
        let table = table("*", &compiled);
        for target in targets {
            prop_assert_eq!(found(&table, "a", &target), model(&routes, &target), "{}", target);
        }
    }
}
