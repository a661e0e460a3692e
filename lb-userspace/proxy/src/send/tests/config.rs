//! What is known about endpoints outlives configurations.

use super::{compile, model, shares};
use crate::send::{PickKey, Upstream};
use std::time::Duration;

#[test]
fn what_is_known_about_endpoints_outlives_a_configuration() {
    let before = compile(&model(&[1, 1]));
    before.set_health("e0", None, false);
    let lease = before.pick(&PickKey::default(), &[]).unwrap();
    let after = Upstream::compile("shop", &model(&[1, 1, 1]), None, 7, Some(&before));
    let statistics = after.snapshot();
    assert_eq!(statistics.under_way, 1);
    let known: Vec<_> =
        statistics.endpoints.iter().map(|it| (it.is_up, it.under_way, it.requests_count)).collect();
    assert_eq!(known, [(false, 0, 0), (true, 1, 1), (true, 0, 0)]);
    after.set_health("e0", None, true);
    assert!(before.snapshot().endpoints[0].is_up);
    drop(lease);
    assert_eq!(after.snapshot().under_way, 0);
}

#[test]
fn another_address_is_another_endpoint() {
    let before = compile(&model(&[1, 1]));
    before.set_health("e0", None, false);
    let mut moved = model(&[1, 1]);
    moved.endpoints.get_mut("e0").unwrap().port = 81;
    let after = Upstream::compile("shop", &moved, None, 7, Some(&before));
    assert!(after.snapshot().endpoints[0].is_up);
}

#[test]
fn endpoints_change_under_those_who_hold_the_upstream() {
    let upstream = compile(&model(&[1]));
    upstream.set_endpoints(&model(&[0, 1]).endpoints);
    assert_eq!(shares(&upstream, 10)["e1"], 10);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_gets_its_share_only_after_slow_start() {
    let slow = lb_model::Upstream { slow_start: Duration::from_mins(1), ..model(&[1]) };
    let upstream = compile(&lb_model::Upstream { balance: lb_model::Balance::RoundRobin, ..slow });
    upstream.set_endpoints(&model(&[1, 1]).endpoints);
    let share = || shares(&upstream, 1_000).get("e1").copied().unwrap_or(0);
    let first = share();
    assert!((50..200).contains(&first), "{first}");
    tokio::time::advance(Duration::from_secs(30)).await;
    let half_way = share();
    assert!((270..400).contains(&half_way), "{half_way}");
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(share(), 500);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_back_starts_slowly_too() {
    let slow = lb_model::Upstream { slow_start: Duration::from_mins(1), ..model(&[1, 1]) };
    let upstream = compile(&slow);
    let together = shares(&upstream, 1_000)["e1"];
    assert!((450..550).contains(&together), "{together}");
    upstream.set_health("e1", None, false);
    upstream.set_health("e1", None, true);
    let share = shares(&upstream, 1_000)["e1"];
    assert!(share < 250, "{share}");
}
