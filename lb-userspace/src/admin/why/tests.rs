use super::*;
use crate::{config, proxy::snapshot::Context};

const FILE: &str = r#"
interfaces: [eth0]
listeners:
  - { name: any, vips: ["192.0.2.10:80/tcp"], protocol: http }
  - { name: shop, vips: ["192.0.2.10:80/tcp"], protocol: http, host: shop.example }
  - { name: sql, vips: ["192.0.2.10:5432/tcp"], protocol: tcp }
routes:
  - name: shop
    listeners: [shop]
    rules:
      - { name: canary, match: [{ path: /api, headers: { x-canary: "1" } }], backends: [canary] }
      - name: api
        match: [/api]
        filters: { rate_limits: [200/s], request_headers: { set: { x-via: lb } } }
        backends: [{ upstream: api, weight: 3 }, { upstream: canary, weight: 1 }]
      - { name: old, match: [/old], redirect: { host: new.example, status: 301 } }
      - { name: empty, match: [/empty], backends: [empty] }
stream_routes:
  - { name: sql, listeners: [sql], backends: [api] }
upstreams:
  - { name: api, balance: round_robin, endpoints: ["10.2.0.11:8080", "10.2.0.12:8080"] }
  - { name: canary, endpoints: ["10.2.0.31:8080"] }
  - { name: empty, endpoints: [] }
"#;

fn snapshot() -> Snapshot {
    let desired = config::parse("lb.yaml", FILE).unwrap();
    let context = Context { previous: &Snapshot::default(), seed: 1, worker_count: 1 };
    Snapshot::compile(&desired.proxy, 1, context)
}

fn ask(snapshot: &Snapshot, url: &str, headers: &[(&str, &str)]) -> Result<WhyResource, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let request = WhyRequest {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: headers.iter().map(owned).collect(),
        to: None,
        from: None,
    };
    why(snapshot, &BTreeSet::new(), &request)
}

fn rejected(why: &WhyResource) -> Vec<(&str, Option<&str>)> {
    why.rules.iter().map(|it| (&*it.rule, it.rejected.as_deref())).collect()
}

#[test]
fn a_request_is_followed_from_its_address_to_its_endpoint() {
    let snapshot = snapshot();
    let why = ask(&snapshot, "http://shop.example/api/orders?x=1", &[]).unwrap();
    assert_eq!(why.request, "GET http://shop.example/api/orders?x=1");
    assert_eq!(why.address.as_deref(), Some("192.0.2.10:80"));
    let listeners: Vec<_> =
        why.listeners.iter().map(|it| (&*it.listener, it.rejected.as_deref())).collect();
    assert_eq!(listeners, [("any", Some("the host of shop is more specific")), ("shop", None)]);
    assert_eq!(
        rejected(&why),
        [("shop/canary", Some("header `x-canary` does not match")), ("shop/api", None)]
    );
    assert_eq!(why.filters, ["rate_limits", "request_headers"]);
    let shares: Vec<_> = why.backends.iter().map(|it| (it.upstream.as_deref(), it.share)).collect();
    assert_eq!(shares, [(Some("api"), 0.75), (Some("canary"), 0.25)]);
    assert_eq!(why.backends[0].endpoints.len(), 2);
    assert_eq!((why.refusal.as_deref(), why.status), (None, None));
    assert!(why.outcome.starts_with("sent to api/"), "{}", why.outcome);
    assert!(why.outcome.ends_with("canary/10.2.0.31:8080 (10.2.0.31:8080)"), "{}", why.outcome);
}

#[test]
fn asking_counts_nothing_and_says_the_same_again() {
    let snapshot = snapshot();
    let first = ask(&snapshot, "http://shop.example/api", &[]).unwrap();
    assert_eq!(ask(&snapshot, "http://shop.example/api", &[]).unwrap(), first);
    let requests = snapshot.upstreams["api"].snapshot().endpoints;
    assert!(requests.iter().all(|it| it.requests_count == 0));
}

#[test]
fn a_header_decides_and_the_host_field_wins_over_the_url() {
    let headers = [("Host", "shop.example"), ("X-Canary", "1")];
    let why = ask(&snapshot(), "http://192.0.2.10/api", &headers).unwrap();
    assert_eq!(why.rule.as_deref(), Some("shop/canary"));
}

#[test]
fn what_is_answered_here_says_why() {
    let snapshot = snapshot();
    for (url, refusal, status, rule) in [
        ("http://shop.example/old", "redirected", 301, Some("shop/old")),
        ("http://shop.example/none", "no_route", 404, None),
        ("http://shop.example/empty", "no_endpoint", 503, Some("shop/empty")),
        ("http://other.example/", "no_route", 404, None),
        ("http://shop.example:81/", "no_listener", 404, None),
        ("https://shop.example:80/", "malformed", 400, None),
    ] {
        let why = ask(&snapshot, url, &[]).unwrap();
        let told = (why.refusal.as_deref(), why.status, why.rule.as_deref());
        assert_eq!(told, (Some(refusal), Some(status), rule), "{url}: {}", why.outcome);
    }
}

#[test]
fn without_a_match_every_rule_of_the_host_is_listed() {
    let why = ask(&snapshot(), "http://shop.example/none", &[]).unwrap();
    assert_eq!(why.rules.len(), 4);
    assert!(why.rules.iter().all(|it| it.rejected.is_some()));
}

#[test]
fn an_endpoint_that_is_down_is_not_chosen() {
    let snapshot = snapshot();
    snapshot.upstreams["canary"].set_health("10.2.0.31:8080", None, false);
    let why = ask(&snapshot, "http://shop.example/api", &[("x-canary", "1")]).unwrap();
    assert_eq!(why.backends[0].endpoints[0].state, "down");
    assert_eq!(why.refusal.as_deref(), Some("no_endpoint"));
}

#[test]
fn sessions_are_followed_to_their_upstream() {
    let why = ask(&snapshot(), "http://192.0.2.10:5432/", &[]).unwrap();
    assert_eq!(why.listeners[0].listener, "sql");
    assert!(why.outcome.starts_with("sent to api/"), "{}", why.outcome);
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    let snapshot = snapshot();
    for (url, headers) in [
        ("shop.example/a", &[][..]),
        ("ftp://shop.example/", &[]),
        ("http://shop.example/%00", &[]),
        ("http://shop.example/", &[("x a", "1")]),
        ("http://shop.example/", &[("host", "a b")]),
    ] {
        assert!(ask(&snapshot, url, headers).is_err(), "{url} {headers:?}");
    }
}
