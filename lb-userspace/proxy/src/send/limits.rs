//! Circuit breaking: what may be under way at once.

use super::settings::{Settings, Shared};
use crate::http::Reason;
use lb_model::UpstreamLimits;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// So many retries may always be under way (Envoy's `min_retry_concurrency`).
const RETRIES_MIN: u32 = 3;

/// Retries under way.
#[derive(Debug, Default)]
pub(super) struct Retries(AtomicU32);

/// A request that waits for a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Pending(Arc<Shared>);

/// A retry under way, until it is dropped.
#[derive(Debug)]
pub(super) struct RetryPermit(Arc<Shared>);

/// Counts one more, unless there are `limit` already.
pub(super) fn count_in(counter: &AtomicU32, limit: u32) -> bool {
    let counted = counter.fetch_add(1, Relaxed) < limit;
    if !counted {
        counter.fetch_sub(1, Relaxed);
    }
    counted
}

impl Pending {
    /// Counts a request that begins to wait.
    pub(super) fn begin(shared: &Arc<Shared>, settings: &Settings) -> Result<Self, Reason> {
        if count_in(&shared.pending, settings.limits.pending_max) {
            return Ok(Self(Arc::clone(shared)));
        }
        shared.refused.add(1);
        Err(Reason::CircuitOpen)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Relaxed);
    }
}

impl RetryPermit {
    /// Counts a retry, if the budget allows one more.
    pub(super) fn begin(shared: &Arc<Shared>, limits: &UpstreamLimits) -> Option<Self> {
        let under_way = u64::from(shared.under_way.load(Relaxed));
        let share = under_way * u64::from(limits.retries_percent_max) / 100;
        let limit = u32::try_from(share).unwrap_or(u32::MAX).max(RETRIES_MIN);
        count_in(&shared.retries.0, limit).then(|| Self(Arc::clone(shared)))
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.0.retries.0.fetch_sub(1, Relaxed);
    }
}
