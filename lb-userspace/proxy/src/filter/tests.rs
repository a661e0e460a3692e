//! Filters together: what runs when, and what becomes of it.

use super::{
    fixture::{FakeAsk, append, collected, exchange, listed, pieces, request},
    *,
};
use crate::http::Known;
use bytes::Bytes;
use futures_util::FutureExt;
use lb_model::{HostRewrite, PathRewrite, RateLimit, RateLimitKey, Secret};
use std::time::Duration;

fn compiled(wanted: &lb_model::Filters) -> Filters {
    let context = Context { previous: None, body_bytes_max: Some(9), now: Instant::now() };
    Filters::compile(wanted, context).unwrap()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs a request to its answer, if it is answered here.
async fn answer(filters: &Filters, request: &mut Request, ask: &FakeAsk) -> Option<Response> {
    let (facts, mut exchange) = (filters.facts(request), exchange());
    let mut answer = filters.request(&mut exchange, request, ask).await.err()?;
    filters.response(&exchange, &facts, &mut answer);
    Some(answer)
}

fn guarded() -> lb_model::Filters {
    let users = [("one".to_owned(), Secret::new(&b"{PLAIN}secret"[..]))];
    lb_model::Filters {
        rate_limits: vec![RateLimit {
            requests: 1,
            interval: Duration::from_hours(1),
            burst: 3,
            key: RateLimitKey::Rule,
        }],
        cors: Some(lb_model::Cors {
            allow_origins: vec!["https://a.example".into()],
            allow_methods: vec!["GET".into()],
            ..lb_model::Cors::default()
        }),
        basic_auth: Some(lb_model::BasicAuth { realm: "r".into(), users: users.into() }),
        error_pages: vec![lb_model::ErrorPage {
            statuses: [401, 403, 429].into(),
            content_type: "text/html".into(),
            body: b"page".to_vec(),
            replaces_backend: false,
        }],
        response_headers: lb_model::HeaderEdit {
            set: pairs(&[("strict-transport-security", "max-age=1")]),
            ..lb_model::HeaderEdit::default()
        },
        ..lb_model::Filters::default()
    }
}

#[tokio::test]
async fn a_preflight_needs_no_password_and_a_refusal_gets_all_that_a_response_gets() {
    let (filters, ask) = (compiled(&guarded()), FakeAsk::default());
    let mut preflight = request();
    preflight.method = Method::Options;
    let origin = ("origin", "https://a.example");
    append(&mut preflight.fields, &[origin, ("access-control-request-method", "GET")]);
    let answered = answer(&filters, &mut preflight, &ask).await.unwrap();
    assert_eq!(answered.reason, Some(Reason::Preflight));
    let mut plain = request();
    append(&mut plain.fields, &[origin]);
    let refused = answer(&filters, &mut plain, &ask).await.unwrap();
    assert_eq!(
        listed(&refused.fields),
        [
            "content-type=text/html",
            "www-authenticate=Basic realm=\"r\", charset=\"UTF-8\"",
            "strict-transport-security=max-age=1",
            "vary=origin",
            "access-control-allow-origin=https://a.example",
        ]
    );
    assert_eq!(collected(refused.body).await.0, b"page");
    plain.fields.append(Known::Authorization, b"Basic b25lOnNlY3JldA==");
    assert!(answer(&filters, &mut plain, &ask).await.is_none());
    let limited = answer(&filters, &mut plain, &ask).await.unwrap();
    assert_eq!(limited.status, 429, "three requests took a token each");
}

#[tokio::test]
async fn who_may_not_ask_takes_no_tokens() {
    let mut wanted = guarded();
    let deny = vec!["192.0.2.0/24".parse().unwrap()];
    wanted.access = Some(lb_model::AddressAccess { allow: vec![], deny });
    let filters = compiled(&wanted);
    for _ in 0..9 {
        let refused = answer(&filters, &mut request(), &FakeAsk::default()).await.unwrap();
        assert_eq!(refused.reason, Some(Reason::AddressDenied));
    }
    wanted.access = None;
    let context = Context { previous: Some(&filters), body_bytes_max: None, now: Instant::now() };
    let filters = Filters::compile(&wanted, context).unwrap();
    let refused = answer(&filters, &mut request(), &FakeAsk::default()).await.unwrap();
    assert_eq!(refused.reason, Some(Reason::BasicAuthFailed));
}

fn changing() -> lb_model::Filters {
    let mut wanted = lb_model::Filters { body_bytes_max: Some(0), ..Default::default() };
    wanted.request_headers.set = pairs(&[("x-host", "{host}"), ("x-pod", "{upstream_host}")]);
    wanted.rewrite.host = Some(HostRewrite::Endpoint);
    wanted.rewrite.path = Some(PathRewrite::Prefix("/new".into()));
    wanted.mirrors = vec![lb_model::Mirror { upstream: Some("copy".into()), share: (1, 1) }];
    wanted.compression = Some(lb_model::Compression {
        response: true,
        request: true,
        level: 1,
        types: ["text/plain".to_owned()].into(),
        bytes_min: 10,
    });
    wanted
}

#[tokio::test]
async fn a_request_runs_down_the_chain() {
    let (filters, ask) = (compiled(&changing()), FakeAsk::default());
    let (mut request, mut exchange) = (request(), exchange());
    exchange.prefix_bytes = 2;
    append(&mut request.fields, &[("content-type", "text/plain")]);
    request.body = Body::from(Bytes::from(vec![b'a'; 1_000]));
    assert!(filters.request(&mut exchange, &mut request, &ask).await.is_ok());
    let (upstream, copy) = ask.0.borrow_mut().spawned.remove(0);
    assert_eq!((upstream.as_str(), copy.target()), ("copy", &b"/new?b=c"[..]));
    assert_eq!(collected(copy.body).await.0.len(), 1_000, "the copy is not compressed");
    assert!(filters.needs_endpoint() && filters.endpoint_host());
    filters.endpoint(&exchange, &mut request, "pod-1:8443");
    assert_eq!((request.authority(), request.target()), (&b"pod-1:8443"[..], &b"/new?b=c"[..]));
    assert_eq!(
        listed(&request.fields),
        [
            "content-type=text/plain",
            "x-host=shop.example:8080",
            "x-forwarded-host=shop.example:8080",
            "content-encoding=gzip",
            "x-pod=pod-1:8443",
        ]
    );
    assert!(collected(request.body).await.0.len() < 100);
    assert_eq!(exchange.prefix_bytes, 4, "a backend's own rewrite goes on from here");
}

#[tokio::test]
async fn what_is_answered_here_nobody_else_sees() {
    let mut wanted = changing();
    let (content_type, body) = ("text/plain".to_owned(), b"hello, hello".to_vec());
    wanted.answer = Some(lb_model::Answer::Fixed { status: 200, content_type, body });
    let (filters, ask) = (compiled(&wanted), FakeAsk::default());
    let mut asking = request();
    asking.method = Method::Head;
    append(&mut asking.fields, &[("accept-encoding", "gzip")]);
    let answered = answer(&filters, &mut asking, &ask).await.unwrap();
    assert!(answered.body.is_empty() && ask.0.borrow().spawned.is_empty());
    assert_eq!((answered.status, answered.length_told), (200, Some(12)));
    assert_eq!(asking.target(), b"/a?b=c");
}

#[tokio::test]
async fn the_rules_body_limit_stands_for_the_listeners() {
    for (limit, length, is_refused) in
        [(None, 9, false), (None, 10, true), (Some(20), 10, false), (Some(0), 99, false)]
    {
        let wanted = lb_model::Filters { body_bytes_max: limit, ..Default::default() };
        let mut request = request();
        request.body = Body::from(Bytes::from(vec![0; length]));
        let answered = answer(&compiled(&wanted), &mut request, &FakeAsk::default()).await;
        assert_eq!(answered.is_some(), is_refused, "{limit:?} {length}");
    }
}

#[test]
fn without_filters_nothing_changes_and_nothing_waits() {
    let filters = Filters::default();
    let (mut exchange, mut request) = (exchange(), request());
    request.body = pieces(&[b"a"]);
    let facts = filters.facts(&request);
    let ask = FakeAsk::default();
    let done = filters.request(&mut exchange, &mut request, &ask).now_or_never();
    assert!(done.unwrap().is_ok());
    assert!(request.fields.is_empty() && request.target() == b"/a?b=c");
    let mut response = Response::new(204);
    filters.response(&exchange, &facts, &mut response);
    assert!(response.fields.is_empty());
}
