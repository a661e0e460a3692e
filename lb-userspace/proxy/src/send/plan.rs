//! The sending part of a rule, compiled.

use super::{Lease, Upstream, random};
use crate::{
    exchange::Exchange,
    http::{Request, Response},
};
use lb_model::{CookiePersistence, Retry, Timeouts};
use std::{fmt, sync::Arc};

/// Where the requests of a rule are sent, and how.
#[derive(Debug, Default)]
pub struct Plan {
    /// Who answers, shared by weight.
    backends: Vec<Backend>,
    /// Sums of the weights up to and with each.
    sums: Vec<u64>,
    /// How long it may take.
    pub(super) timeouts: Timeouts,
    /// When a request is sent again.
    pub(super) retry: Option<Retry>,
    /// Whether a client stays with its endpoint.
    pub(super) persistence: Option<CookiePersistence>,
}

/// Who answers.
#[derive(Debug)]
pub struct Backend {
    /// The upstream; `None` = it is not there: its share gets 500.
    pub upstream: Option<Arc<Upstream>>,
    /// Its share relative to the others.
    pub weight: u32,
    /// What is done with what is sent there.
    pub edits: Option<Arc<dyn BackendEdits>>,
}

/// What is done with a request once it is known where it is sent.
pub trait BackendEdits: Send + Sync {
    /// Edits the request. Called once a try, each time on the request as it was planned.
    fn edit_request(&self, request: &mut Request, exchange: &Exchange, endpoint: &Lease);

    /// Edits the response.
    fn edit_response(&self, exchange: &Exchange, response: &mut Response);
}

impl Plan {
    /// From the parts of a rule.
    pub fn new(
        backends: Vec<Backend>,
        timeouts: Timeouts,
        retry: Option<Retry>,
        persistence: Option<CookiePersistence>,
    ) -> Self {
        let sums = backends.iter().scan(0, |sum, it| {
            *sum += u64::from(it.weight);
            Some(*sum)
        });
        Self { sums: sums.collect(), backends, timeouts, retry, persistence }
    }

    /// The backends.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// A backend by weight, or the one that has the endpoint that a client is bound to, whatever
    /// its weight; `None` = none has a weight.
    pub(super) fn choose(&self, pinned: Option<u128>) -> Option<&Backend> {
        let holds = |it: &&Backend, id| it.upstream.as_ref().is_some_and(|it| it.holds(id));
        if let Some(id) = pinned
            && let Some(backend) = self.backends.iter().find(|it| holds(it, id))
        {
            return Some(backend);
        }
        if let ([only], [weight]) = (&*self.backends, &*self.sums) {
            return (*weight > 0).then_some(only);
        }
        let place = random::below(self.sums.last().copied().unwrap_or(0));
        self.backends.get(self.sums.partition_point(|sum| *sum <= place))
    }
}

impl fmt::Debug for dyn BackendEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackendEdits")
    }
}
