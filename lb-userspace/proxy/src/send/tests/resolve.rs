//! Endpoints in DNS.

use super::compile;
use crate::{
    http::Reason,
    send::{Answer, Names, PickKey, Resolve, Upstream},
};
use futures_util::future::BoxFuture;
use lb_model::{Endpoint, EndpointAddress};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Answers as it is told, and counts.
#[derive(Clone, Default)]
struct TestResolver(Arc<Mutex<(Option<Answer>, u32)>>);

impl Resolve for TestResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Answer>> {
        assert_eq!(name, "shop.internal");
        let mut told = self.0.lock().unwrap();
        told.1 += 1;
        let answer = told.0.clone();
        Box::pin(async move { answer })
    }
}

impl TestResolver {
    fn tell(&self, addresses: &[&str], ttl_seconds: u64) {
        let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let ttl = Duration::from_secs(ttl_seconds);
        self.0.lock().unwrap().0 = Some(Answer { addresses, ttl });
    }

    fn fail(&self) {
        self.0.lock().unwrap().0 = None;
    }

    fn asked(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

fn named() -> lb_model::Upstream {
    let address = EndpointAddress::Name("shop.internal".into());
    let endpoint = Endpoint { address, port: 8_080, weight: 1, drain: false };
    lb_model::Upstream {
        endpoints: [("shop".to_owned(), endpoint)].into(),
        ..lb_model::Upstream::default()
    }
}

fn addresses(upstream: &Upstream) -> Vec<String> {
    upstream.snapshot().endpoints.iter().map(|it| it.address.to_string()).collect()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn every_address_is_an_endpoint_and_the_ttl_is_kept() {
    let resolver = TestResolver::default();
    resolver.tell(&["10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1"], 30);
    let names = Names::new(resolver.clone());
    let running = Arc::clone(&names);
    tokio::spawn(async move { running.run().await });
    let upstream = compile(&named());
    assert_eq!(upstream.pick(&PickKey::default(), &[]).unwrap_err(), Reason::NoEndpoint);
    names.follow(&upstream);
    pass(1).await;
    assert_eq!(addresses(&upstream), ["10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"]);
    assert_eq!(upstream.pick(&PickKey::default(), &[]).unwrap().host_name(), Some("shop.internal"));

    resolver.tell(&["10.0.0.2", "10.0.0.3"], 0);
    pass(28).await;
    assert_eq!((addresses(&upstream).len(), resolver.asked()), (3, 1));
    pass(2).await;
    assert_eq!(addresses(&upstream), ["10.0.0.2:8080", "10.0.0.3:8080"]);
    // Whatever the TTL is: once a second at most, every five minutes at least.
    resolver.tell(&["10.0.0.2"], 1_000_000);
    pass(2).await;
    let asked = resolver.asked();
    assert!(asked <= 4, "{asked}");
    pass(301).await;
    assert_eq!(resolver.asked(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_stays_while_the_name_server_fails() {
    let resolver = TestResolver::default();
    resolver.tell(&["10.0.0.1"], 5);
    let names = Names::new(resolver.clone());
    let running = Arc::clone(&names);
    tokio::spawn(async move { running.run().await });
    let upstream = compile(&named());
    names.follow(&upstream);
    pass(1).await;
    for failure in [0, 1] {
        if failure == 0 {
            resolver.fail();
        } else {
            resolver.tell(&[], 5);
        }
        pass(60).await;
        assert_eq!(addresses(&upstream), ["10.0.0.1:8080"]);
    }
    resolver.tell(&["10.0.0.9"], 5);
    pass(6).await;
    assert_eq!(addresses(&upstream), ["10.0.0.9:8080"]);

    // A new configuration has the addresses at once, whether it knows the old one or not.
    let next = Upstream::compile("shop", &named(), None, 7, Some(&upstream));
    assert_eq!(addresses(&next), ["10.0.0.9:8080"]);
    let other = compile(&named());
    names.follow(&other);
    assert_eq!(addresses(&other), ["10.0.0.9:8080"]);
}

#[tokio::test(start_paused = true)]
async fn names_that_nobody_follows_are_not_asked_for() {
    let resolver = TestResolver::default();
    resolver.tell(&["10.0.0.1"], 1);
    let names = Names::new(resolver.clone());
    let running = Arc::clone(&names);
    tokio::spawn(async move { running.run().await });
    let upstream = compile(&named());
    names.follow(&upstream);
    pass(3).await;
    drop(upstream);
    pass(2).await;
    let asked = resolver.asked();
    pass(600).await;
    assert_eq!(resolver.asked(), asked);
}

#[test]
fn health_belongs_to_each_address() {
    let upstream = compile(&named());
    let all: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    upstream.set_addresses("shop.internal", &all);
    upstream.set_health("shop", Some("10.0.0.1:8080".parse().unwrap()), false);
    for _ in 0..20 {
        let lease = upstream.pick(&PickKey::default(), &[]).unwrap();
        assert_eq!(lease.address().to_string(), "10.0.0.2:8080");
    }
}
