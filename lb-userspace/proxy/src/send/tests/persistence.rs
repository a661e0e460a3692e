//! A client stays with its endpoint by a cookie.

use super::{
    backend::{TestBackend, in_worker},
    compile, model_at,
};
use crate::{
    http::{Known, Method, Request},
    send::{Plan, Upstream, tests::dispatch::Proxy},
};
use lb_model::{CookiePersistence, Timeouts};
use std::{sync::Arc, time::Duration};

fn sticky(upstream: &Arc<Upstream>) -> Plan {
    let persistence =
        CookiePersistence { cookie: "at".into(), lifetime: Some(Duration::from_mins(10)) };
    let backends = vec![super::dispatch::backend(upstream, 1)];
    Plan::new(backends, Timeouts::default(), None, Some(persistence))
}

async fn ask(proxy: &Proxy, plan: &Plan, cookie: Option<&str>) -> (String, Option<String>) {
    let mut request = Request::new(Method::Get, "shop.example", "/");
    if let Some(cookie) = cookie {
        request.fields.append(Known::Cookie, cookie.as_bytes());
    }
    let (mut response, _) = proxy.dispatch(plan, request).await;
    let set = response.fields.first(Known::SetCookie);
    let set = set.map(|it| String::from_utf8(it.to_vec()).unwrap());
    (super::dispatch::text(&mut response).await, set)
}

#[tokio::test]
async fn a_client_stays_with_its_endpoint_as_long_as_that_is_there() {
    in_worker(async {
        let backends = [TestBackend::start("a").await, TestBackend::start("b").await];
        let addresses = backends.each_ref().map(|it| it.address);
        let upstream = compile(&model_at(&addresses));
        let (proxy, plan) = (Proxy::new(), sticky(&upstream));

        let (first, cookie) = ask(&proxy, &plan, None).await;
        let cookie = cookie.unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        for _ in 0..20 {
            assert_eq!(ask(&proxy, &plan, Some(pair)).await, (first.clone(), None));
        }

        // Even when it takes nothing new.
        let name = if first == "a" { "e0" } else { "e1" };
        let mut model = model_at(&addresses);
        model.endpoints.get_mut(name).unwrap().drain = true;
        upstream.set_endpoints(&model.endpoints);
        assert_eq!(ask(&proxy, &plan, Some(pair)).await, (first.clone(), None));

        // Gone: another one, and a cookie for that.
        model.endpoints.remove(name);
        upstream.set_endpoints(&model.endpoints);
        let (other, cookie) = ask(&proxy, &plan, Some(pair)).await;
        assert_ne!(other, first);
        assert!(cookie.is_some_and(|it| !it.starts_with(pair)));
    })
    .await;
}

#[tokio::test]
async fn a_dead_endpoint_and_a_wrong_cookie_bind_nobody() {
    in_worker(async {
        let backends = [TestBackend::start("a").await, TestBackend::start("b").await];
        let upstream = compile(&model_at(&backends.each_ref().map(|it| it.address)));
        let (proxy, plan) = (Proxy::new(), sticky(&upstream));
        let (first, cookie) = ask(&proxy, &plan, None).await;
        let cookie = cookie.unwrap();
        let pair = cookie.split(';').next();
        upstream.set_health(if first == "a" { "e0" } else { "e1" }, None, false);
        let (other, moved) = ask(&proxy, &plan, pair).await;
        assert!(other != first && moved.is_some());
        let too_long = format!("at={}", "0".repeat(33));
        for wrong in ["at=", "at=+0000000000000000000000000000000", "at=zz", &too_long] {
            assert!(ask(&proxy, &plan, Some(wrong)).await.1.is_some());
        }
    })
    .await;
}
