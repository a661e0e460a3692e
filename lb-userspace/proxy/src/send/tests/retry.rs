//! When a request is sent again.

use super::{
    backend::{Action, TestBackend, in_worker},
    compile,
    dispatch::{Proxy, backend, get, text},
    model_at,
};
use crate::{
    closed,
    http::{Body, BodyError, BodyStream, Frame, Method, Reason, Request},
    send::{Plan, Upstream},
};
use bytes::Bytes;
use lb_model::{Retry, Timeouts};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

fn policy() -> Retry {
    Retry {
        attempts: 2,
        codes: [503].into(),
        on_connection_error: false,
        on_backend_timeout: false,
        backoff: Duration::from_millis(2),
        any_method: false,
    }
}

fn retrying(upstream: &Arc<Upstream>, retry: Retry) -> Plan {
    Plan::new(vec![backend(upstream, 1)], Timeouts::default(), Some(retry), None)
}

fn post(body: Body) -> Request {
    let mut request = Request::new(Method::Post, "shop.example", "/");
    request.body = body;
    request
}

/// A body of pieces, of a length that is not told.
struct Pieces(u8, &'static [u8]);

impl BodyStream for Pieces {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::Data(Bytes::from_static(self.1)))))
    }

    fn length(&self) -> Option<u64> {
        None
    }
}

/// Tries that a request took, and how it ended.
async fn tries(script: &[Action], retry: Retry, request: Request) -> (u32, u16) {
    let shop = TestBackend::scripted("shop", script).await;
    let upstream = compile(&model_at(&[shop.address]));
    let (response, record) = Proxy::new().dispatch(&retrying(&upstream, retry), request).await;
    assert_eq!(record.tries as usize, shop.requests().len());
    (record.tries, response.status)
}

#[tokio::test]
async fn codes_are_retried_as_often_as_wanted() {
    in_worker(async {
        let fails = [Action::Answer(503); 9];
        assert_eq!(tries(&fails[..1], policy(), get()).await, (2, 200));
        assert_eq!(tries(&fails[..2], policy(), get()).await, (3, 200));
        assert_eq!(tries(&fails, policy(), get()).await, (3, 503));
        assert_eq!(tries(&[Action::Answer(500)], policy(), get()).await, (1, 500));
    })
    .await;
}

#[tokio::test]
async fn methods_that_are_not_idempotent_are_sent_once_unless_told_otherwise() {
    in_worker(async {
        let fails = [Action::Answer(503)];
        let body = || Body::from(Bytes::from_static(b"order"));
        assert_eq!(tries(&fails, policy(), post(body())).await, (1, 503));
        let any = Retry { any_method: true, ..policy() };
        assert_eq!(tries(&fails, any, post(body())).await, (2, 200));
    })
    .await;
}

#[tokio::test]
async fn a_broken_connection_is_retried_only_when_wanted() {
    in_worker(async {
        assert_eq!(tries(&[Action::Close], policy(), get()).await, (1, 502));
        let wanted = Retry { on_connection_error: true, ..policy() };
        assert_eq!(tries(&[Action::Close], wanted, get()).await, (2, 200));
    })
    .await;
}

#[tokio::test]
async fn the_only_endpoint_is_asked_again_when_wanted() {
    in_worker(async {
        let upstream = compile(&model_at(&[closed::address()]));
        let wanted = Retry { on_connection_error: true, ..policy() };
        let (response, record) = Proxy::new().dispatch(&retrying(&upstream, wanted), get()).await;
        assert_eq!((response.status, record.tries), (503, 3));
    })
    .await;
}

#[tokio::test]
async fn another_endpoint_is_preferred() {
    in_worker(async {
        let bad = TestBackend::scripted("bad", &[Action::Answer(503); 100]).await;
        let good = TestBackend::start("good").await;
        let upstream = compile(&lb_model::Upstream {
            balance: lb_model::Balance::RoundRobin,
            ..model_at(&[bad.address, good.address])
        });
        let (proxy, plan) = (Proxy::new(), retrying(&upstream, policy()));
        for _ in 0..10 {
            assert_eq!(proxy.asked(&plan).await, (200, "good".to_owned()));
        }
        assert_eq!(upstream.snapshot().endpoints[1].retries_count, 10);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_came_in_pieces_is_sent_again_as_it_was() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Answer(503)]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let plan = retrying(&upstream, Retry { any_method: true, ..policy() });
        let request = post(Body::Stream(Box::new(Pieces(3, b"piece;"))));
        let (response, _) = Proxy::new().dispatch(&plan, request).await;
        assert_eq!(response.status, 200);
        let bodies: Vec<_> =
            shop.requests().iter().map(|it| it.matches("piece;").count()).collect();
        assert_eq!(bodies, [3, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_body_too_large_to_remember_is_sent_once() {
    in_worker(async {
        static KILOBYTE: [u8; 1_024] = [b'x'; 1_024];
        let any = Retry { any_method: true, ..policy() };
        let request = post(Body::Stream(Box::new(Pieces(65, &KILOBYTE))));
        assert_eq!(tries(&[Action::Answer(503)], any.clone(), request).await, (1, 503));
        let request = post(Body::Stream(Box::new(Pieces(64, &KILOBYTE))));
        assert_eq!(tries(&[Action::Answer(503)], any, request).await, (2, 200));
    })
    .await;
}

#[tokio::test]
async fn a_timeout_is_retried_only_when_wanted() {
    in_worker(async {
        for (on_backend_timeout, expected) in [(false, 504), (true, 200)] {
            let shop = TestBackend::scripted("shop", &[Action::Hang]).await;
            let upstream = compile(&model_at(&[shop.address]));
            let backend_limit = Some(Duration::from_secs(2));
            let timeouts = Timeouts { backend: backend_limit, ..Timeouts::default() };
            let retry = Retry { on_backend_timeout, ..policy() };
            let plan = Plan::new(vec![backend(&upstream, 1)], timeouts, Some(retry), None);
            let (response, _) = Proxy::new().dispatch(&plan, get()).await;
            assert_eq!(response.status, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn retries_stop_where_the_budget_ends() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Answer(503); 20]).await;
        let mut model = model_at(&[shop.address]);
        model.limits.retries_percent_max = 0;
        let upstream = compile(&model);
        // Three may always be under way; each of these waits long before its retry.
        let long = Retry { attempts: 1, backoff: Duration::from_secs(2), ..policy() };
        let (proxy, plan) = (Proxy::new(), retrying(&upstream, long));
        let all = (0..10).map(|_| proxy.dispatch(&plan, get()));
        let all = futures_util::future::join_all(all).await;
        let retried = all.iter().filter(|(_, record)| record.tries == 2).count();
        assert_eq!(retried, 3);
        assert!(all.iter().all(|(response, _)| response.status == 503));
    })
    .await;
}

#[tokio::test]
async fn what_is_retried_is_not_held_any_more() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Answer(503)]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let plan = retrying(&upstream, policy());
        let (mut response, _) = Proxy::new().dispatch(&plan, get()).await;
        assert_eq!(text(&mut response).await, "shop");
        assert_eq!(upstream.snapshot().under_way, 0);
        assert_eq!(response.reason, None::<Reason>);
    })
    .await;
}
