//! Endpoints that fail real requests are left out for a while.

use super::{
    clock::{nanoseconds, now_ns},
    endpoint::{Endpoint, State},
};
use lb_model::OutlierDetection;
use std::sync::{Arc, PoisonError, atomic::Ordering::Relaxed};

/// An ejection is at most so many times as long as the first.
const LENGTHS_MAX: u32 = 10;

/// All endpoints of an upstream.
pub(super) type Roster = Vec<Member>;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// What is known about it.
    pub(super) state: Arc<State>,
    /// Whether it takes new requests, as far as the configuration says.
    pub(super) takes_new: bool,
}

/// Ejects an endpoint that failed so many times in a row, if that is too often and the others
/// allow it: not too many are ejected, and another one lives.
pub(super) fn consider(endpoint: &Endpoint, failures_in_row: u32) {
    let Some(outlier) = &endpoint.settings.outlier else { return };
    if failures_in_row < outlier.failures.max(1) {
        return;
    }
    let _ejecting = endpoint.shared.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
    let now = now_ns();
    if !endpoint.state.is_ejected(now) && may_eject(endpoint, outlier, now) {
        eject(&endpoint.state, outlier, now);
    }
}

fn may_eject(endpoint: &Endpoint, outlier: &OutlierDetection, now: u64) -> bool {
    let roster = endpoint.shared.roster.load();
    let ejected = roster.iter().filter(|it| it.state.is_ejected(now)).count();
    let allowed = roster.len() * usize::from(outlier.ejected_percent_max.min(100)) / 100;
    let another_lives = roster.iter().any(|it| {
        it.takes_new
            && it.state.is_up()
            && !it.state.is_ejected(now)
            && !Arc::ptr_eq(&it.state, &endpoint.state)
    });
    another_lives && ejected < allowed.max(1)
}

fn eject(state: &State, outlier: &OutlierDetection, now: u64) {
    let length = nanoseconds(outlier.ejection);
    // Sound for as long as the longest ejection: what was before is forgiven.
    let forgiven = length.saturating_mul(u64::from(LENGTHS_MAX));
    let last_end = state.ejected_until_ns.load(Relaxed);
    let before = match state.ejections_in_row.load(Relaxed) {
        _ if now.saturating_sub(last_end) > forgiven => 0,
        before => before,
    };
    let lengths = before.saturating_add(1).min(LENGTHS_MAX);
    state.ejections_in_row.store(lengths, Relaxed);
    let until = now.saturating_add(length.saturating_mul(u64::from(lengths)));
    state.ejected_until_ns.store(until, Relaxed);
    state.failures_in_row.store(0, Relaxed);
    state.counters.ejections.add(1);
}
