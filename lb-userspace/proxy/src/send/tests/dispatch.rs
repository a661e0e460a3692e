//! A request's way through the sender.

use super::{
    backend::{Action, TestBackend, in_worker},
    compile, model, model_at,
};
use crate::{
    account::Record,
    closed,
    connection::Connection,
    exchange::Exchange,
    http::{Body, Frame, Informational, Known, Method, Reason, Request, Response, Scheme, Version},
    send::{Backend, BackendEdits, Lease, Plan, Sender, Upstream, ask, dispatch, random},
};
use lb_model::Timeouts;
use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc};
use tokio::time::Instant;

/// A worker's sender with a client in front of it.
pub(super) struct Proxy {
    pub(super) sender: Rc<Sender>,
    pub(super) client: SocketAddr,
}

impl Proxy {
    pub(super) fn new() -> Self {
        Self { sender: Sender::new(), client: "192.0.2.1:4711".parse().unwrap() }
    }

    /// The response, and what was noted.
    pub(super) async fn dispatch(&self, plan: &Plan, request: Request) -> (Response, Record) {
        let mut exchange = exchange(self.client);
        let response = dispatch(&self.sender, &mut exchange, plan, request).await;
        (response, *exchange.record)
    }

    /// As [`Proxy::dispatch`], for a plain `GET`, with the body read.
    pub(super) async fn asked(&self, plan: &Plan) -> (u16, String) {
        let (mut response, _) = self.dispatch(plan, get()).await;
        (response.status, text(&mut response).await)
    }
}

pub(super) fn get() -> Request {
    Request::new(Method::Get, "shop.example", "/")
}

pub(super) fn backend(upstream: &Arc<Upstream>, weight: u32) -> Backend {
    Backend { upstream: Some(Arc::clone(upstream)), weight, edits: None }
}

pub(super) fn plan(upstream: &Arc<Upstream>) -> Plan {
    Plan::new(vec![backend(upstream, 1)], Timeouts::default(), None, None)
}

/// The whole body; `...` at the end if it broke.
pub(super) async fn text(response: &mut Response) -> String {
    let mut text = String::new();
    while let Some(frame) = response.body.frame().await {
        match frame {
            Ok(Frame::Data(bytes)) => text.push_str(str::from_utf8(&bytes).unwrap()),
            Ok(Frame::Trailers(_)) => {}
            Err(_) => text.push_str("..."),
        }
    }
    text
}

fn exchange(client: SocketAddr) -> Exchange {
    let local = "192.0.2.80:80".parse().unwrap();
    let record = Box::new(Record {
        started: Instant::now().into_std(),
        method: Method::Get,
        version: Version::Http11,
        scheme: Scheme::Http,
        authority: "shop.example".into(),
        target: "/".into(),
        client,
        listener: None,
        route: None,
        upstream: None,
        endpoint: None,
        tries: 0,
        answered: None,
        status: 0,
        reason: None,
        request_id: None,
        trace_id: None,
        fields: Vec::new(),
        listener_stats: None,
        rule_stats: None,
    });
    let connection = Rc::new(Connection { local, peer: client, client, tls: None });
    Exchange { connection, record, prefix_bytes: 0, early: Informational::none() }
}

#[tokio::test]
async fn a_request_is_answered_and_noted() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let upstream = compile(&model_at(&[shop.address]));
        let (mut response, record) = Proxy::new().dispatch(&plan(&upstream), get()).await;
        assert_eq!((response.status, text(&mut response).await), (200, "shop".to_owned()));
        assert_eq!(record.upstream.as_deref(), Some("shop"));
        assert_eq!((record.endpoint, record.tries), (Some(shop.address), 1));
        assert!(record.answered.is_some());
        assert!(shop.requests()[0].starts_with("GET / HTTP/1.1\r\n"), "{:?}", shop.requests());
        let statistics = upstream.snapshot();
        let endpoint = &statistics.endpoints[0];
        assert_eq!((statistics.under_way, endpoint.requests_count), (0, 1));
        assert_eq!((endpoint.failures_count, endpoint.connections_opened_count), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_connected_to_is_passed_over() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let upstream = compile(&model_at(&[closed::address(), shop.address, closed::address()]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        for _ in 0..20 {
            // Not idempotent: but no endpoint saw it.
            let mut request = Request::new(Method::Post, "shop.example", "/");
            request.body = Body::from(bytes::Bytes::from_static(b"order"));
            let (response, _) = proxy.dispatch(&plan, request).await;
            assert_eq!(response.status, 200);
        }
        assert!(shop.requests().iter().all(|it| it.ends_with("order")));
        let endpoints = upstream.snapshot().endpoints;
        assert!(endpoints[0].connect_errors_count + endpoints[2].connect_errors_count > 0);
        assert_eq!(endpoints[1].connect_errors_count, 0);
    })
    .await;
}

#[tokio::test]
async fn without_anyone_to_connect_to_it_is_said_why() {
    in_worker(async {
        let upstream = compile(&model_at(&[closed::address(), closed::address()]));
        let (response, record) = Proxy::new().dispatch(&plan(&upstream), get()).await;
        assert_eq!((response.status, response.reason), (503, Some(Reason::ConnectFailed)));
        assert_eq!(record.tries, 2);
        let (response, _) = Proxy::new().dispatch(&plan(&compile(&model(&[]))), get()).await;
        assert_eq!((response.status, response.reason), (503, Some(Reason::NoEndpoint)));
    })
    .await;
}

#[tokio::test]
async fn backends_share_by_weight_and_a_missing_ones_share_fails() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let upstream = compile(&model_at(&[shop.address]));
        let missing = |weight| Backend { upstream: None, weight, edits: None };
        let of = |backends| Plan::new(backends, Timeouts::default(), None, None);
        let plan = of(vec![backend(&upstream, 3), missing(1), missing(0)]);
        let proxy = Proxy::new();
        random::restart(3);
        let mut failed = 0;
        for _ in 0..200 {
            let (response, _) = proxy.dispatch(&plan, get()).await;
            failed += u32::from(response.reason == Some(Reason::BackendMissing));
            assert!(matches!(response.status, 200 | 500));
        }
        assert!((30..70).contains(&failed), "{failed}");
        for none in [of(vec![]), of(vec![backend(&upstream, 0)])] {
            assert_eq!(proxy.asked(&none).await.0, 500);
        }
    })
    .await;
}

struct Marks;

impl BackendEdits for Marks {
    fn edit_request(&self, request: &mut Request, _: &Exchange, endpoint: &Lease) {
        request.set_authority(endpoint.authority().as_bytes());
        request.fields.append("x-mark", b"1");
    }

    fn edit_response(&self, _: &Exchange, response: &mut Response) {
        response.fields.append("x-mark", b"2");
    }
}

#[tokio::test]
async fn a_backends_edits_know_the_endpoint_and_are_made_once_a_try() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Answer(200), Action::Close]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let edits: Option<Arc<dyn BackendEdits>> = Some(Arc::new(Marks));
        let backends = vec![Backend { edits, ..backend(&upstream, 1) }];
        let plan = Plan::new(backends, Timeouts::default(), None, None);
        let proxy = Proxy::new();
        for _ in 0..2 {
            // The second time the kept connection is closed, and the request sent again.
            let (response, _) = proxy.dispatch(&plan, get()).await;
            assert_eq!(response.fields.first("x-mark"), Some(&b"2"[..]));
        }
        let requests = shop.requests();
        assert_eq!(requests.len(), 3);
        for request in requests.iter().map(|it| it.to_ascii_lowercase()) {
            assert!(request.contains(&format!("\r\nhost: {}\r\n", shop.address)), "{request}");
            assert_eq!(request.matches("x-mark: 1").count(), 1, "{request}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_proxys_own_requests_are_answered_too() {
    in_worker(async {
        let auth = TestBackend::scripted("auth", &[Action::Answer(401)]).await;
        let upstream = compile(&model_at(&[closed::address(), auth.address]));
        let sender = Sender::new();
        let response = ask(&sender, &upstream, get(), None).await.unwrap();
        assert_eq!(response.status, 401);
        auth.then(Action::Hang);
        let limit = Some(std::time::Duration::from_millis(20));
        let late = ask(&sender, &upstream, get(), limit).await;
        assert_eq!(late.unwrap_err(), Reason::RequestTimeout);
        assert_eq!(upstream.snapshot().under_way, 0);
    })
    .await;
}

#[tokio::test]
async fn no_request_is_lost_while_endpoints_come_and_go() {
    in_worker(async {
        let backends = [TestBackend::start("a").await, TestBackend::start("b").await];
        let model = model_at(&backends.each_ref().map(|it| it.address));
        let upstream = compile(&model);
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let client = async || {
            for _ in 0..50 {
                assert_eq!(proxy.asked(&plan).await.0, 200);
            }
        };
        let is_done = Cell::new(false);
        let clients = async {
            futures_util::future::join_all((0..8).map(|_| client())).await;
            is_done.set(true);
        };
        let changes = async {
            for round in (0..).take_while(|_| !is_done.get()) {
                let mut changed = model.endpoints.clone();
                match round % 4 {
                    0 => drop(changed.remove("e0")),
                    1 => changed.get_mut("e1").unwrap().drain = true,
                    2 => changed.get_mut("e1").unwrap().weight = 0,
                    _ => {}
                }
                upstream.set_endpoints(&changed);
                // One lives at any time.
                upstream.set_health("e1", None, round % 8 < 5);
                tokio::task::yield_now().await;
            }
            upstream.set_health("e1", None, true);
            upstream.set_endpoints(&model.endpoints);
        };
        tokio::join!(clients, changes);
        assert_eq!(upstream.snapshot().under_way, 0);
        let lost: u64 = upstream.snapshot().endpoints.iter().map(|it| it.failures_count).sum();
        assert_eq!(lost, 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Hang]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let came = async {
            while shop.requests().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answered = proxy.asked(&plan) => panic!("{answered:?}"),
            () = came => {}
        }
        let statistics = upstream.snapshot();
        assert_eq!((statistics.under_way, statistics.pending), (0, 0));
        assert_eq!(statistics.endpoints[0].connections, 0);
        assert_eq!(statistics.endpoints[0].failures_count, 0);
    })
    .await;
}

#[tokio::test]
async fn a_limit_refuses_at_once_and_says_when_to_come_back() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let mut model = model_at(&[shop.address]);
        model.limits.requests_max = 0;
        let (response, _) = Proxy::new().dispatch(&plan(&compile(&model)), get()).await;
        assert_eq!((response.status, response.reason), (503, Some(Reason::CircuitOpen)));
        assert_eq!(response.fields.first(Known::RetryAfter), Some(&b"1"[..]));
        assert_eq!(shop.connections(), 0);
    })
    .await;
}
