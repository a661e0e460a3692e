//! Connections are kept, bounded and closed.

use super::{
    backend::{Action, TestBackend, in_worker},
    compile,
    dispatch::{Proxy, get, plan, text},
    model_at,
};
use crate::http::{Method, Reason, Request};
use lb_model::{ProxyProtocol, UpstreamLimits};
use std::{rc::Rc, time::Duration};

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let upstream = compile(&model_at(&[shop.address]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        for _ in 0..10 {
            assert_eq!(proxy.asked(&plan).await, (200, "shop".to_owned()));
        }
        assert_eq!(shop.connections(), 1);
        let endpoint = &upstream.snapshot().endpoints[0];
        assert_eq!((endpoint.connections_opened_count, endpoint.connections_reused_count), (1, 9));
        assert_eq!(endpoint.connections, 1);
    })
    .await;
}

#[tokio::test]
async fn connections_survive_a_change_of_the_configuration() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let before = compile(&model_at(&[shop.address]));
        let proxy = Proxy::new();
        proxy.asked(&plan(&before)).await;
        let after = compile(&model_at(&[shop.address]));
        proxy.asked(&plan(&after)).await;
        assert_eq!(shop.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_request() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let upstream = compile(&model_at(&[shop.address]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        for _ in 0..20 {
            shop.then(Action::AnswerAndClose);
            assert_eq!(proxy.asked(&plan).await.0, 200);
        }
        assert_eq!(upstream.snapshot().endpoints[0].failures_count, 0);
        assert_eq!(shop.connections(), 20);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_idempotent_is_not_sent_twice_on_a_guess() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Answer(200), Action::Close]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        proxy.asked(&plan).await;
        let order = Request::new(Method::Post, "shop.example", "/");
        let (response, _) = proxy.dispatch(&plan, order).await;
        assert_eq!((response.status, response.reason), (502, Some(Reason::UpstreamReset)));
        assert_eq!(shop.requests().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_is_closed() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let idle_timeout = Duration::from_secs(4);
        // Waits for the network end at once where the clock is turned: no limit on connecting.
        let connect_timeout = Duration::from_secs(1_000_000);
        let model =
            lb_model::Upstream { idle_timeout, connect_timeout, ..model_at(&[shop.address]) };
        let upstream = compile(&model);
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        proxy.asked(&plan).await;
        tokio::time::advance(idle_timeout).await;
        proxy.asked(&plan).await;
        assert_eq!(shop.connections(), 2);
        // Nobody asks any more.
        let sender = Rc::clone(&proxy.sender);
        tokio::task::spawn_local(async move { sender.tend().await });
        assert_eq!(upstream.snapshot().endpoints[0].connections, 1);
        tokio::time::sleep(idle_timeout + Duration::from_secs(2)).await;
        assert_eq!(upstream.snapshot().endpoints[0].connections, 0);
    })
    .await;
}

#[tokio::test]
async fn requests_wait_for_one_of_few_connections() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let limits = UpstreamLimits { connections_max: 2, ..UpstreamLimits::default() };
        let upstream = compile(&lb_model::Upstream { limits, ..model_at(&[shop.address]) });
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let all = (0..40).map(|_| proxy.asked(&plan));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|it| it.0 == 200), "{all:?}");
        assert!(shop.connections() <= 2);
        let statistics = upstream.snapshot();
        assert_eq!((statistics.pending, statistics.under_way), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_connection_goes_to_the_worker_that_waits_for_it() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let limits = UpstreamLimits { connections_max: 1, ..UpstreamLimits::default() };
        let upstream = compile(&lb_model::Upstream { limits, ..model_at(&[shop.address]) });
        let (here, there, plan) = (Proxy::new(), Proxy::new(), plan(&upstream));
        let both = tokio::join!(here.asked(&plan), there.asked(&plan));
        assert_eq!((both.0.0, both.1.0), (200, 200));
    })
    .await;
}

#[tokio::test]
async fn too_many_that_wait_are_refused() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let limits =
            UpstreamLimits { connections_max: 1, pending_max: 1, ..UpstreamLimits::default() };
        let connect_timeout = Duration::from_secs(2);
        let model = lb_model::Upstream { limits, connect_timeout, ..model_at(&[shop.address]) };
        let upstream = compile(&model);
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        shop.then(Action::AnswerHalf);
        let (held, _) = proxy.dispatch(&plan, get()).await;
        // The only connection is taken: one may wait, and waits in vain.
        let (first, second) =
            tokio::join!(proxy.dispatch(&plan, get()), proxy.dispatch(&plan, get()));
        for (refused, _) in [first, second] {
            assert_eq!(refused.reason, Some(Reason::CircuitOpen));
        }
        assert_eq!(shop.requests().len(), 1);
        drop(held);
        assert_eq!(proxy.asked(&plan).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn a_request_is_under_way_until_its_body_ends() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::BreakHalfWay, Action::AnswerHalf]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let (mut broken, _) = proxy.dispatch(&plan, get()).await;
        assert_eq!(upstream.snapshot().under_way, 1);
        assert_eq!(text(&mut broken).await, "0123456789...");
        let statistics = upstream.snapshot();
        assert_eq!((statistics.under_way, statistics.endpoints[0].failures_count), (0, 1));

        let (unread, _) = proxy.dispatch(&plan, get()).await;
        assert_eq!(upstream.snapshot().under_way, 1);
        drop(unread);
        let statistics = upstream.snapshot();
        assert_eq!((statistics.under_way, statistics.endpoints[0].connections), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn connections_that_tell_the_client_are_not_shared() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let model = lb_model::Upstream {
            sends_proxy_protocol: Some(ProxyProtocol::V1),
            ..model_at(&[shop.address])
        };
        let upstream = compile(&model);
        let (mut proxy, plan) = (Proxy::new(), plan(&upstream));
        for port in [4_711, 4_711, 4_712, 4_711] {
            proxy.client.set_port(port);
            proxy.asked(&plan).await;
        }
        assert_eq!(shop.connections(), 2);
        let told = |port| format!("PROXY TCP4 192.0.2.1 192.0.2.80 {port} 80\r\nGET /");
        let requests = shop.requests();
        assert!(requests[0].starts_with(&told(4_711)), "{requests:?}");
        assert!(requests[1].starts_with("GET /"), "{requests:?}");
        assert!(requests[2].starts_with(&told(4_712)), "{requests:?}");
        assert!(requests[3].starts_with("GET /"), "{requests:?}");
    })
    .await;
}
