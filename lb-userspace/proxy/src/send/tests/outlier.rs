//! Endpoints that fail real requests are left out for a while.

use super::{compile, model, shares};
use crate::send::{Lease, PickKey, Upstream};
use lb_model::{Balance, OutlierDetection};
use std::{sync::Arc, time::Duration};

fn watched(count: usize, ejected_percent_max: u8) -> Arc<Upstream> {
    let ejection = Duration::from_secs(30);
    let outlier = OutlierDetection { failures: 3, ejection, ejected_percent_max };
    let model = model(&vec![1; count]);
    compile(&lb_model::Upstream { outlier: Some(outlier), balance: Balance::RoundRobin, ..model })
}

fn lease(upstream: &Upstream, name: &str) -> Lease {
    let mut leases = (0..100).map(|_| upstream.pick(&PickKey::default(), &[]).unwrap());
    leases.find(|it| it.name() == name).unwrap()
}

fn fail(upstream: &Upstream, name: &str, count: u32) {
    let lease = lease(upstream, name);
    (0..count).for_each(|_| lease.failed());
}

fn is_ejected(upstream: &Upstream, number: usize) -> bool {
    upstream.snapshot().endpoints[number].is_ejected
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_eject_for_a_while_that_grows() {
    let upstream = watched(4, 50);
    fail(&upstream, "e0", 2);
    lease(&upstream, "e0").succeeded(Duration::from_millis(1));
    fail(&upstream, "e0", 2);
    assert!(!is_ejected(&upstream, 0));
    fail(&upstream, "e0", 1);
    assert!(is_ejected(&upstream, 0));
    assert!(!shares(&upstream, 100).contains_key("e0"));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(shares(&upstream, 100).contains_key("e0"));

    fail(&upstream, "e0", 3);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(is_ejected(&upstream, 0));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!is_ejected(&upstream, 0));

    // Sound for long: the next ejection is as short as the first.
    tokio::time::advance(Duration::from_secs(301)).await;
    fail(&upstream, "e0", 3);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(!is_ejected(&upstream, 0));
    assert_eq!(upstream.snapshot().endpoints[0].ejections_count, 3);
}

#[tokio::test(start_paused = true)]
async fn not_more_than_so_many_are_ejected() {
    let upstream = watched(4, 50);
    for name in ["e0", "e1", "e2"] {
        fail(&upstream, name, 3);
    }
    let ejected: Vec<_> = (0..4).map(|it| is_ejected(&upstream, it)).collect();
    assert_eq!(ejected, [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn the_last_living_one_is_never_ejected() {
    let upstream = watched(3, 100);
    upstream.set_health("e0", None, false);
    fail(&upstream, "e1", 3);
    fail(&upstream, "e2", 30);
    let ejected: Vec<_> = (0..3).map(|it| is_ejected(&upstream, it)).collect();
    assert_eq!(ejected, [false, true, false]);
    // One may be ejected whatever the percentage is.
    let upstream = watched(2, 0);
    fail(&upstream, "e0", 3);
    fail(&upstream, "e1", 3);
    assert!(is_ejected(&upstream, 0) && !is_ejected(&upstream, 1));
}

#[tokio::test(start_paused = true)]
async fn an_ejected_one_is_better_than_a_dead_one() {
    let upstream = watched(2, 50);
    fail(&upstream, "e0", 3);
    upstream.set_health("e1", None, false);
    assert_eq!(shares(&upstream, 10)["e0"], 10);
}
