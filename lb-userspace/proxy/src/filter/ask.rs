//! How filters reach other upstreams than the one that answers.

use crate::http::{Reason, Request, Response};
use std::time::Duration;

/// Asks upstreams by name. Cheap to clone.
pub trait Ask: Clone + 'static {
    /// Has a request answered, within `timeout` (`None` = no limit) up to the response's header.
    fn ask(
        &self,
        upstream: &str,
        request: Request,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Response, Reason>>;

    /// Has a request answered in the background; the response is read and forgotten. How many are
    /// under way at once is bounded; more are dropped and counted.
    fn spawn(&self, upstream: &str, request: Request);
}
