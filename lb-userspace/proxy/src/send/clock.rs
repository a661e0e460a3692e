//! The time, in nanoseconds since the process looked first. Tokio's clock, so that tests can turn
//! it.

use std::{sync::LazyLock, time::Duration};
use tokio::time::Instant;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now. Never 0.
pub(super) fn now_ns() -> u64 {
    ns_of(Instant::now())
}

/// A moment, as [`now_ns`] has it.
pub(super) fn ns_of(moment: Instant) -> u64 {
    // An hour ahead, so that a clock that a test began earlier does not come before the begin.
    nanoseconds((moment + HOUR).saturating_duration_since(*EPOCH)).max(1)
}

/// `length` after `start`; what no clock reaches is very late.
pub(super) fn after(start: Instant, length: Duration) -> Instant {
    start.checked_add(length).unwrap_or(start + LATE)
}

/// A length of time; at most 584 years.
pub(super) fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// A lifetime of machines.
const LATE: Duration = Duration::from_hours(24 * 365 * 30);

const HOUR: Duration = Duration::from_hours(1);
