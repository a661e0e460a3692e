//! Draws by weight among endpoints.

use super::{Takers, Wanted};
use crate::send::{endpoint::Endpoint, random};
use std::sync::Arc;

/// Draws that may hit one that is not wanted before all are looked at.
const DRAWS_MAX: u32 = 6;

/// The better of two must be better by this factor: between equals the draw decides, and not
/// who answered last by a microsecond.
const BETTER: f64 = 0.9;

/// Draws an endpoint by weight. `other_than` leaves one out, by its position.
pub(super) fn draw(
    takers: &Takers,
    wanted: &Wanted<'_>,
    other_than: Option<usize>,
) -> Option<usize> {
    for _ in 0..DRAWS_MAX {
        let position = blind(takers);
        let Some(endpoint) = takers.endpoints.get(position) else { break };
        if other_than != Some(position) && wanted.admits_now(endpoint) {
            return Some(position);
        }
    }
    among_wanted(takers, wanted, other_than)
}

/// The better of two draws: the second if it is better than the first. Of equal weights they are
/// two different ones; else a light one must not be compared each time, so that it gets its share
/// and no more.
pub(super) fn better_of_two<'a>(
    takers: &'a Takers,
    wanted: &Wanted<'_>,
    cost: impl Fn(&Endpoint) -> f64,
) -> Option<&'a Arc<Endpoint>> {
    let first = draw(takers, wanted, None)?;
    let chosen = takers.endpoints.get(first)?;
    if takers.endpoints.len() == 1 {
        return Some(chosen);
    }
    let other_than = takers.is_even.then_some(first);
    let second = draw(takers, wanted, other_than).and_then(|it| takers.endpoints.get(it));
    match second {
        Some(second) if cost(second) < BETTER * cost(chosen) => Some(second),
        _ => Some(chosen),
    }
}

fn blind(takers: &Takers) -> usize {
    if takers.is_even {
        return random::below(takers.endpoints.len() as u64) as usize;
    }
    let place = random::below(takers.sums.last().copied().unwrap_or(0));
    takers.sums.partition_point(|sum| *sum <= place)
}

/// Draws by looking at all of them: exact, however few are wanted.
fn among_wanted(takers: &Takers, wanted: &Wanted<'_>, other_than: Option<usize>) -> Option<usize> {
    let mut sum = 0.0;
    let mut drawn = None;
    for (position, endpoint) in takers.endpoints.iter().enumerate() {
        if other_than == Some(position) || !wanted.admits(endpoint) {
            continue;
        }
        // Each replaces those before with its part of the sum so far (Chao's reservoir of one).
        let weight = f64::from(endpoint.weight) * endpoint.ramp(wanted.now_ns);
        sum += weight;
        if random::unit() * sum < weight {
            drawn = Some(position);
        }
    }
    drawn
}
