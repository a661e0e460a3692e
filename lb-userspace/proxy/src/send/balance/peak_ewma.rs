//! The better of two by moving average of latency times requests under way.

use super::{Takers, Wanted, draw};
use crate::send::endpoint::Endpoint;
use std::sync::Arc;

/// The better of two by expected wait.
pub(super) fn choose<'a>(takers: &'a Takers, wanted: &Wanted<'_>) -> Option<&'a Arc<Endpoint>> {
    draw::better_of_two(takers, wanted, |endpoint| {
        endpoint.state.load(takers.relative_weight(endpoint), wanted.now_ns)
    })
}
