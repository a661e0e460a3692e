//! Who gets the next request.

use super::{compile, model, shares};
use crate::{
    http::{Method, Reason, Request},
    send::{PickKey, Upstream, random},
};
use lb_model::{Balance, HashKey};
use proptest::prelude::*;
use std::{collections::HashMap, net::IpAddr, time::Duration};

fn all_balances() -> Vec<Balance> {
    let maglev = Balance::Maglev(HashKey::Source);
    vec![Balance::PeakEwma, Balance::RoundRobin, Balance::LeastRequest, maglev]
}

fn balanced(weights: &[u16], balance: Balance) -> std::sync::Arc<Upstream> {
    compile(&lb_model::Upstream { balance, ..model(weights) })
}

fn by_source(upstream: &Upstream, client: u32) -> String {
    let key = upstream.key(Some(client.to_be_bytes().into()), None);
    upstream.pick(&key, &[]).unwrap().name().to_owned()
}

#[test]
fn shares_follow_weights() {
    for balance in [Balance::PeakEwma, Balance::LeastRequest] {
        let upstream = balanced(&[10, 30, 60], balance.clone());
        let shares = shares(&upstream, 10_000);
        for (name, expected) in [("e0", 1_000), ("e1", 3_000), ("e2", 6_000)] {
            let share = shares[name];
            assert!(share.abs_diff(expected) < 300, "{balance:?} {name}: {share}");
        }
    }
}

#[test]
fn turns_are_exact_and_smooth() {
    let upstream = balanced(&[2, 1, 1], Balance::RoundRobin);
    let name = || upstream.pick(&PickKey::default(), &[]).unwrap().name().to_owned();
    let names: Vec<_> = (0..8).map(|_| name()).collect();
    assert_eq!(names, ["e0", "e1", "e2", "e0", "e0", "e1", "e2", "e0"]);
}

#[test]
fn turns_of_a_dead_endpoint_fall_to_all_others_alike() {
    let upstream = balanced(&[1, 1, 1], Balance::RoundRobin);
    upstream.set_health("e1", None, false);
    let shares = shares(&upstream, 100);
    assert_eq!((shares["e0"], shares["e2"], shares.len()), (50, 50, 2));
}

#[test]
fn the_hash_spreads_by_weight() {
    let upstream = balanced(&[1, 1, 2], Balance::Maglev(HashKey::Source));
    let mut shares = HashMap::<_, u32>::new();
    for client in 0..8_000 {
        *shares.entry(by_source(&upstream, client)).or_default() += 1;
    }
    for (name, expected) in [("e0", 2_000), ("e1", 2_000), ("e2", 4_000)] {
        assert!(shares[name].abs_diff(expected) < 200, "{shares:?}");
    }
}

#[test]
fn two_routers_send_a_client_to_the_same_endpoint() {
    let here = balanced(&[1, 2, 3, 4], Balance::Maglev(HashKey::Source));
    let there = balanced(&[1, 2, 3, 4], Balance::Maglev(HashKey::Source));
    for client in 0..1_000 {
        assert_eq!(by_source(&here, client), by_source(&there, client));
    }
}

#[test]
fn only_clients_of_a_dead_endpoint_move() {
    let upstream = balanced(&[1, 1, 1, 1], Balance::Maglev(HashKey::Source));
    let before: Vec<_> = (0..1_000).map(|client| by_source(&upstream, client)).collect();
    upstream.set_health("e2", None, false);
    let mut moved_to = HashMap::<_, u32>::new();
    for (client, before) in (0..).zip(&before) {
        let now = by_source(&upstream, client);
        if before == "e2" {
            *moved_to.entry(now).or_default() += 1;
        } else {
            assert_eq!(now, *before);
        }
    }
    assert!(moved_to.values().all(|it| *it > 40) && moved_to.len() == 3, "{moved_to:?}");
    upstream.set_health("e2", None, true);
    let after: Vec<_> = (0..1_000).map(|client| by_source(&upstream, client)).collect();
    assert_eq!(before, after);
}

#[test]
fn headers_and_cookies_are_hashed_and_requests_without_are_balanced() {
    let mut request = Request::new(Method::Get, "a", "/");
    request.fields.append("X-User", b"7");
    request.fields.append("Cookie", b"user=7");
    let client = Some(IpAddr::from([10, 9, 9, 9]));
    for key in [HashKey::Header("x-user".into()), HashKey::Cookie("user".into())] {
        let upstream = balanced(&[1, 1, 1, 1], Balance::Maglev(key));
        let keyed = upstream.key(client, Some(&request));
        let names = |key: &PickKey| -> std::collections::BTreeSet<_> {
            (0..50).map(|_| upstream.pick(key, &[]).unwrap().name().to_owned()).collect()
        };
        assert_eq!(names(&keyed).len(), 1);
        let bare = upstream.key(client, Some(&Request::new(Method::Get, "a", "/")));
        assert_eq!(names(&bare).len(), 4);
    }
}

#[test]
fn the_faster_endpoint_gets_more() {
    let upstream = balanced(&[1, 1], Balance::PeakEwma);
    for _ in 0..20 {
        let lease = upstream.pick(&PickKey::default(), &[]).unwrap();
        let is_slow = lease.name() == "e0";
        lease.succeeded(Duration::from_millis(if is_slow { 400 } else { 2 }));
    }
    let shares = shares(&upstream, 100);
    assert!(shares["e1"] > 90, "{shares:?}");
}

#[test]
fn an_endpoint_that_fails_is_shunned() {
    let upstream = balanced(&[1, 1], Balance::PeakEwma);
    let failing = loop {
        let lease = upstream.pick(&PickKey::default(), &[]).unwrap();
        if lease.name() == "e0" {
            break lease;
        }
    };
    failing.failed();
    drop(failing);
    assert_eq!(shares(&upstream, 100)["e1"], 100);
}

#[test]
fn fewer_requests_under_way_win() {
    let upstream = balanced(&[1, 1], Balance::LeastRequest);
    let held: Vec<_> = (0..10).map(|_| upstream.pick(&PickKey::default(), &[]).unwrap()).collect();
    let on_first = held.iter().filter(|it| it.name() == "e0").count();
    assert_eq!(on_first, 5);
    assert_eq!(upstream.snapshot().under_way, 10);
    drop(held);
    assert_eq!(upstream.snapshot().under_way, 0);
}

#[test]
fn weight_zero_and_drain_take_nothing_new() {
    for balance in all_balances() {
        let mut model = model(&[1, 0, 1]);
        model.endpoints.get_mut("e2").unwrap().drain = true;
        let upstream = compile(&lb_model::Upstream { balance, ..model });
        for client in 0..50 {
            assert_eq!(by_source(&upstream, client), "e0");
        }
    }
}

#[test]
fn without_a_living_endpoint_there_is_no_endpoint() {
    for balance in all_balances() {
        let upstream = balanced(&[1, 1], balance.clone());
        upstream.set_health("e0", None, false);
        upstream.set_health("e1", None, false);
        assert_eq!(upstream.pick(&PickKey::default(), &[]).unwrap_err(), Reason::NoEndpoint);
        let empty = balanced(&[], balance);
        assert_eq!(empty.pick(&PickKey::default(), &[]).unwrap_err(), Reason::NoEndpoint);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_dead_endpoint_is_never_chosen_while_another_lives(
        weights in prop::collection::vec(0_u16..=1_000, 1..24),
        dead in any::<u32>(),
        seed in any::<u64>(),
        client in any::<u32>(),
    ) {
        let is_dead = |name: &str| dead >> name[1..].parse::<u32>().unwrap() & 1 == 1;
        for balance in all_balances() {
            let upstream = balanced(&weights, balance);
            random::restart(seed);
            for number in 0..weights.len() {
                let name = format!("e{number}");
                upstream.set_health(&name, None, !is_dead(&name));
            }
            let lives = |(number, weight): (usize, &u16)| {
                *weight > 0 && !is_dead(&format!("e{number}"))
            };
            let one_lives = weights.iter().enumerate().any(lives);
            for offset in 0..20_u32 {
                let client = client.wrapping_add(offset).to_be_bytes();
                match upstream.pick(&upstream.key(Some(client.into()), None), &[]) {
                    Ok(lease) => {
                        prop_assert!(!is_dead(lease.name()));
                        prop_assert!(weights[lease.name()[1..].parse::<usize>().unwrap()] > 0);
                    }
                    Err(reason) => {
                        prop_assert_eq!(reason, Reason::NoEndpoint);
                        prop_assert!(!one_lives);
                    }
                }
            }
        }
    }
}
