//! What may be under way at once.

use super::{compile, model};
use crate::{
    http::Reason,
    send::{PickKey, limits::RetryPermit},
};
use lb_model::UpstreamLimits;

#[test]
fn requests_beyond_the_limit_are_refused_until_one_ends() {
    let limits = UpstreamLimits { requests_max: 2, ..UpstreamLimits::default() };
    let upstream = compile(&lb_model::Upstream { limits, ..model(&[1, 1]) });
    let pick = || upstream.pick(&PickKey::default(), &[]);
    let first = pick().unwrap();
    let _second = pick().unwrap();
    assert_eq!(pick().unwrap_err(), Reason::CircuitOpen);
    assert_eq!(upstream.snapshot().refused_count, 1);
    drop(first);
    assert!(pick().is_ok());
}

#[test]
fn retries_are_a_share_of_the_requests_and_at_least_three() {
    let upstream = compile(&model(&[1]));
    let limits = UpstreamLimits { retries_percent_max: 20, ..UpstreamLimits::default() };
    let permits = || {
        let permits = (0..100).map_while(|_| RetryPermit::begin(upstream.shared(), &limits));
        permits.collect::<Vec<_>>().len()
    };
    assert_eq!(permits(), 3);
    let _requests: Vec<_> =
        (0..50).map(|_| upstream.pick(&PickKey::default(), &[]).unwrap()).collect();
    assert_eq!(permits(), 10);
}
