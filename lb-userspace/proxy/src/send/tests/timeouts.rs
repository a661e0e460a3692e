//! How long a request may take.

use super::{
    backend::{Action, TestBackend, in_worker},
    compile,
    dispatch::{Proxy, backend, get, text},
    model_at,
};
use crate::{
    http::Reason,
    send::{Plan, Upstream},
};
use lb_model::Timeouts;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Time enough to connect and to ask on a busy machine.
const SHORT: Option<Duration> = Some(Duration::from_millis(700));
const LONG: Option<Duration> = Some(Duration::from_mins(1));

fn limited(upstream: &Arc<Upstream>, timeouts: Timeouts) -> Plan {
    Plan::new(vec![backend(upstream, 1)], timeouts, None, None)
}

#[tokio::test]
async fn a_backend_that_does_not_answer_is_given_up() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Hang; 2]).await;
        let upstream = compile(&model_at(&[shop.address]));
        for (request, backend, expected) in
            [(SHORT, LONG, Reason::RequestTimeout), (LONG, SHORT, Reason::UpstreamTimeout)]
        {
            let plan = limited(&upstream, Timeouts { request, backend, idle: None });
            let (response, _) = Proxy::new().dispatch(&plan, get()).await;
            assert_eq!((response.status, response.reason), (504, Some(expected)));
        }
        let statistics = upstream.snapshot();
        let endpoint = &statistics.endpoints[0];
        assert_eq!(
            (statistics.under_way, endpoint.failures_count, endpoint.connections),
            (0, 2, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn no_time_is_too_long() {
    in_worker(async {
        let shop = TestBackend::start("shop").await;
        let longest = Some(Duration::MAX);
        let mut model = model_at(&[shop.address]);
        (model.idle_timeout, model.connect_timeout) = (Duration::MAX, Duration::MAX);
        let timeouts = Timeouts { request: longest, backend: longest, idle: longest };
        let plan = limited(&compile(&model), timeouts);
        assert_eq!(Proxy::new().asked(&plan).await, (200, "shop".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_lives_as_long_as_something_moves() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::Upgrade]).await;
        let upstream = compile(&model_at(&[shop.address]));
        let idle = Duration::from_millis(2_500);
        let request_limit = Some(Duration::from_secs(2));
        let timeouts = Timeouts { request: request_limit, backend: None, idle: Some(idle) };
        let mut request = get();
        request.upgrade = Some("websocket".into());
        let begun = Instant::now();
        let (mut tunnel, _) = Proxy::new().dispatch(&limited(&upstream, timeouts), request).await;
        assert_eq!((tunnel.status, &*text(&mut tunnel).await), (101, "shop..."));
        // Its silence ended it, and not the time that the request may take.
        assert!(begun.elapsed() >= idle);
        assert_eq!(upstream.snapshot().under_way, 0);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut() {
    in_worker(async {
        let shop = TestBackend::scripted("shop", &[Action::AnswerHalf; 2]).await;
        let upstream = compile(&model_at(&[shop.address]));
        for (request, idle) in [(Some(Duration::from_secs(2)), None), (None, SHORT)] {
            let plan = limited(&upstream, Timeouts { request, backend: None, idle });
            let (mut response, _) = Proxy::new().dispatch(&plan, get()).await;
            assert_eq!((response.status, &*text(&mut response).await), (200, "0123456789..."));
        }
        let statistics = upstream.snapshot();
        assert_eq!((statistics.under_way, statistics.endpoints[0].connections), (0, 0));
    })
    .await;
}
