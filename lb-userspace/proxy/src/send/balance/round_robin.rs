//! In turn, smoothly by weight: of weights 2 and 1 a, b, a and not a, a, b.

use super::{Takers, Wanted, draw};
use crate::send::endpoint::Endpoint;
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// Turns of a schedule; weights are made coarser to fit.
const TURNS_MAX: u64 = 8_192;

/// Turns that may fall to endpoints that are not wanted before one is drawn.
const SKIPS_MAX: u32 = 64;

/// Whose turn it is. All workers take turns from one counter.
#[derive(Debug)]
pub(in crate::send) struct Schedule(Vec<u32>);

impl Schedule {
    /// For these endpoints.
    pub(super) fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let shares = shares(endpoints);
        let turns: u64 = shares.iter().sum();
        // Each endpoint's turns are spread evenly over the schedule; who is due first comes first.
        let due = |share: u64, count: u64| (((2 * count + 1) << 32) / (2 * share), share, count);
        let mut heap: BinaryHeap<_> =
            shares.iter().zip(0_u32..).map(|(share, it)| Reverse((due(*share, 0), it))).collect();
        let mut schedule = Vec::with_capacity(turns as usize);
        for _ in 0..turns {
            let Some(mut next) = heap.peek_mut() else { break };
            let Reverse(((_, share, count), position)) = *next;
            schedule.push(position);
            *next = Reverse((due(share, count + 1), position));
        }
        Self(schedule)
    }

    /// The next in turn. One that is not wanted loses its turn, so that the others' shares stay as
    /// they are.
    pub(super) fn choose<'a>(
        &self,
        takers: &'a Takers,
        wanted: &Wanted<'_>,
        turn: &AtomicU32,
    ) -> Option<&'a Arc<Endpoint>> {
        for _ in 0..SKIPS_MAX {
            let turn = turn.fetch_add(1, Relaxed) as usize % self.0.len().max(1);
            let endpoint = takers.endpoints.get(*self.0.get(turn)? as usize)?;
            if wanted.admits_now(endpoint) {
                return Some(endpoint);
            }
        }
        takers.endpoints.get(draw::draw(takers, wanted, None)?)
    }
}

/// Turns of each endpoint in a round: its weight without the common divisor.
fn shares(endpoints: &[Arc<Endpoint>]) -> Vec<u64> {
    let weights = || endpoints.iter().map(|it| u64::from(it.weight.max(1)));
    let divisor = weights().fold(0, common_divisor).max(1);
    let sum: u64 = weights().sum::<u64>() / divisor;
    let scaled = |weight: u64| match weight / divisor {
        share if sum <= TURNS_MAX => share,
        share => (share * TURNS_MAX / sum).max(1),
    };
    weights().map(scaled).collect()
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
