//! Weighted Maglev (Eisenbud et al., NSDI 2016, section 3.4): a table of `slots` entries that is
//! filled by the backends in turns, each taking the next free slot of its own permutation.
//!
//! Weights decide whose turn it is (cumulative turns, as Katran's `MaglevHashV2`): a backend of
//! the largest weight has a turn every round, one of half that weight every other round.

use super::name::{Fnv, mix};
use std::{cmp::Reverse, collections::BinaryHeap, vec, vec::Vec};

/// One backend in the lottery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Name: all that its place in the table depends on, beside the seed and its weight.
    pub name: &'a str,
    /// Relative weight, at least 1.
    pub weight: u16,
}

/// Fills a table of `slots` entries (a prime) with positions in `candidates`, which are sorted by
/// name. Empty without candidates.
pub fn table(seed: u64, candidates: &[Candidate<'_>], slots: u32) -> Vec<u32> {
    let weights = candidates.iter().map(|it| u64::from(it.weight.max(1)));
    let Some(heaviest) = weights.clone().max() else { return Vec::new() };
    let mut walks: Vec<Walk> =
        candidates.iter().map(|it| Walk::new(seed, it.name, slots)).collect();
    let mut turns: BinaryHeap<Reverse<Turn>> = weights
        .zip(0..)
        .map(|(weight, position)| Reverse(Turn::first(weight, heaviest, position)))
        .collect();
    let mut table = vec![FREE; slots as usize];
    for _ in 0..slots {
        let Some(mut turn) = turns.peek_mut() else { break };
        if let Some(walk) = walks.get_mut(turn.0.position as usize) {
            walk.take(&mut table, turn.0.position);
        }
        turn.0.advance(heaviest);
    }
    table
}

const FREE: u32 = u32::MAX;

/// When a backend takes its next slot. Ordered by round, then position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    round: u64,
    position: u32,
    weight: u64,
    count: u64,
}

impl Turn {
    fn first(weight: u64, heaviest: u64, position: u32) -> Self {
        Self { round: heaviest.div_ceil(weight), position, weight, count: 1 }
    }

    fn advance(&mut self, heaviest: u64) {
        self.count += 1;
        self.round = (self.count * heaviest).div_ceil(self.weight);
    }
}

/// A backend's way through its own permutation of the slots.
struct Walk {
    next: usize,
    skip: usize,
}

impl Walk {
    fn new(seed: u64, name: &str, slots: u32) -> Self {
        let hash = mix(Fnv::new().with(&seed.to_be_bytes()).with(name.as_bytes()).finish());
        let slots = u64::from(slots);
        // Two independent draws of one hash: mixing again decorrelates the second.
        let skip = if slots > 1 { mix(hash ^ SKIP_DRAW) % (slots - 1) + 1 } else { 0 };
        Self { next: (hash % slots.max(1)) as usize, skip: skip as usize }
    }

    /// Takes the next free slot for `position`. The caller knows that there is one; a prime table
    /// size makes the walk reach it.
    fn take(&mut self, table: &mut [u32], position: u32) {
        let slots = table.len();
        while let Some(slot) = table.get_mut(self.next) {
            self.next += self.skip;
            if self.next >= slots {
                self.next -= slots;
            }
            if *slot == FREE {
                *slot = position;
                return;
            }
        }
    }
}

/// Any constant does (this one is 2^64 divided by the golden ratio).
const SKIP_DRAW: u64 = 0x9e37_79b9_7f4a_7c15;
