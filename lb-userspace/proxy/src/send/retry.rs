//! Whether and when a request is sent again.

use super::{SendError, random};
use crate::http::{Method, Reason};
use lb_model::Retry;
use std::time::Duration;

/// Requests that no endpoint saw are sent to so many others.
const REDISPATCHES_MAX: u8 = 3;

/// A wait between two tries is at most this long.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What is left of a request's tries.
pub(super) struct Tries<'a> {
    policy: Option<&'a Retry>,
    left: u8,
    redispatches_left: u8,
    backoff: Duration,
}

/// What follows from a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The request is sent again at once: no endpoint saw it.
    Redispatch,
    /// The policy has the request sent again, after a while.
    Retry(Duration),
    /// That was it.
    GiveUp,
}

impl<'a> Tries<'a> {
    /// For a request of this method.
    pub(super) fn new(policy: Option<&'a Retry>, method: &Method) -> Self {
        let policy = policy.filter(|it| it.any_method || method.is_idempotent());
        Self {
            policy,
            left: policy.map_or(0, |it| it.attempts),
            redispatches_left: REDISPATCHES_MAX,
            backoff: policy.map_or(Duration::ZERO, |it| it.backoff),
        }
    }

    /// Whether a request may be sent again although an endpoint saw it.
    pub(super) fn has_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// After an error. `can_repeat` = the body is still there; `can_redispatch` = there is where to
    /// send it.
    pub(super) fn after_error(
        &mut self,
        error: SendError,
        can_repeat: bool,
        can_redispatch: bool,
    ) -> Next {
        if !can_repeat || !is_upstreams_fault(error.reason) {
            return Next::GiveUp;
        }
        if error.is_unseen && can_redispatch && self.redispatches_left > 0 {
            self.redispatches_left -= 1;
            return Next::Redispatch;
        }
        let wanted = self.policy.is_some_and(|policy| match error.reason {
            Reason::UpstreamTimeout => policy.on_backend_timeout,
            _ => policy.on_connection_error,
        });
        if wanted { self.retry() } else { Next::GiveUp }
    }

    /// After a response of this status. `can_repeat` = the body is still there.
    pub(super) fn after_status(&mut self, status: u16, can_repeat: bool) -> Next {
        let wanted = self.policy.is_some_and(|it| it.codes.contains(&status));
        if wanted && can_repeat { self.retry() } else { Next::GiveUp }
    }

    fn retry(&mut self) -> Next {
        if self.left == 0 {
            return Next::GiveUp;
        }
        self.left -= 1;
        let longest = self.backoff.min(BACKOFF_MAX);
        self.backoff = longest.saturating_mul(2);
        Next::Retry(longest / 2 + (longest / 2).mul_f64(random::unit()))
    }
}

/// Whether an error tells something about the endpoint, and another one may do better.
pub(super) fn is_upstreams_fault(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConnectFailed
            | Reason::UpstreamTlsFailed
            | Reason::UpstreamReset
            | Reason::UpstreamMalformed
            | Reason::UpstreamTimeout
    )
}
