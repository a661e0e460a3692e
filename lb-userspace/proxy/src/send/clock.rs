//! The time, in nanoseconds since the process looked first. Tokio's clock, so that tests can turn
//! it.

use std::{sync::LazyLock, time::Duration};
use tokio::time::Instant;

/// An hour before: a clock that a test began earlier does not come before the begin.
static EPOCH: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_hours(1)).unwrap_or(now)
});

/// Now. Never 0.
pub(super) fn now_ns() -> u64 {
    ns_of(Instant::now())
}

/// A moment, as [`now_ns`] has it.
pub(super) fn ns_of(moment: Instant) -> u64 {
    nanoseconds(moment.saturating_duration_since(*EPOCH)).max(1)
}

/// `length` after `start`; what no clock reaches is very late.
pub(super) fn after(start: Instant, length: Duration) -> Instant {
    start.checked_add(length).unwrap_or(start + LATE)
}

/// A length of time; at most 584 years.
pub(super) fn nanoseconds(length: Duration) -> u64 {
    let whole = length.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(length.subsec_nanos()))
}

/// A lifetime of machines.
const LATE: Duration = Duration::from_hours(24 * 365 * 30);
