//! The one of two with fewer requests under way.

use super::{Takers, Wanted, draw};
use crate::send::endpoint::Endpoint;
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// The better of two by requests under way relative to the weight.
pub(super) fn choose<'a>(takers: &'a Takers, wanted: &Wanted<'_>) -> Option<&'a Arc<Endpoint>> {
    draw::better_of_two(takers, wanted, |endpoint| {
        f64::from(endpoint.state.under_way.load(Relaxed)) / takers.relative_weight(endpoint)
    })
}
