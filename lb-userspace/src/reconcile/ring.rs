//! How a ring moves: just-enough tracking (JET, CoNEXT 2021).
//!
//! What the kernel does with a slot, and so what must hold between moves:
//! - Unmarked: every living flow of the slot is on its current backend.
//! - Marked: a living flow is in the flow tables, or else on the previous backend, or else, if
//!   there is no previous one, on the current. A miss goes to the previous backend *and is
//!   stored*; without one it goes to the current backend and is not.
//!
//! So the previous backend may be forgotten once every flow that was open when it was set has
//! either spoken (and is stored) or idled out: after the window. And a mark may be cleared once
//! there is no previous backend and no stored flow lives elsewhere than on the current one.

use super::RingImage;
use lb_common::{
    abi::SLOT_MOVED,
    balance::name::{Fnv, mix},
};
use std::collections::BTreeSet;

/// What happens to a ring in one generation.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The backend index (0 = none) that each slot now sends new flows to; `None` = as before.
    pub current: Option<&'a [u32]>,
    /// Wall clock, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How long a slot that moves keeps its previous backend, milliseconds: longer than flows
    /// may idle.
    pub window_ms: u64,
    /// Slots whose mark is still needed, if the flow tables were swept since `old` was applied.
    pub held_slots: Option<&'a BTreeSet<u32>>,
}

/// The ring after `step`. `is_living` tells of any backend index in `old` whether its occupant
/// keeps its flows; dead backends have no flow to protect.
pub fn advance(old: &RingImage, step: &Step<'_>, is_living: impl Fn(u32) -> bool) -> RingImage {
    if old.slots.is_empty() {
        return fresh(step.current.unwrap_or_default());
    }
    if step.current.is_none() && step.held_slots.is_none() && old.previous.is_none() {
        return old.clone();
    }
    let is_over = step.now_ms >= old.window_ends_ms;
    let mut slots = Vec::with_capacity(old.slots.len());
    let mut previous = Vec::with_capacity(old.slots.len());
    let mut is_gained = false;
    for (slot, word) in (0_u32..).zip(old.slots.iter()) {
        let before = old.previous.as_ref().and_then(|table| table.get(slot as usize)).copied();
        let mut state = Slot::new(*word, before.unwrap_or(0));
        if step.held_slots.is_some_and(|held| !held.contains(&slot)) {
            state.clear();
        }
        if is_over || !is_living(state.previous) {
            state.previous = 0;
        }
        let next = step.current.and_then(|table| table.get(slot as usize)).copied();
        is_gained |= state.go(next.unwrap_or(state.current), &is_living);
        slots.push(state.word());
        previous.push(state.previous);
    }
    let previous = previous.iter().any(|index| *index != 0).then(|| previous.into());
    let window_ends_ms = match &previous {
        None => 0,
        Some(_) if is_gained => old.window_ends_ms.max(step.now_ms.saturating_add(step.window_ms)),
        Some(_) => old.window_ends_ms,
    };
    let slots = if slots == *old.slots { old.slots.clone() } else { slots.into() };
    RingImage { slots, previous, window_ends_ms }
}

/// A hash over the *names* behind a ring's current slots. Routers that send untracked flows to
/// the same backends have the same hash, whatever their array indexes and marks.
pub fn ring_hash<'a>(ring: &RingImage, name: impl Fn(u32) -> Option<&'a str>) -> u64 {
    let mut names = std::collections::BTreeMap::new();
    let hash = ring.slots.iter().fold(Fnv::new(), |hash, word| {
        let index = word & !SLOT_MOVED;
        let name = names.entry(index).or_insert_with(|| {
            Fnv::new().with(name(index).unwrap_or_default().as_bytes()).finish().to_be_bytes()
        });
        hash.with(name)
    });
    mix(hash.finish())
}

/// The ring of a VIP that had none: there is no flow to protect.
fn fresh(current: &[u32]) -> RingImage {
    if current.iter().all(|index| *index == 0) {
        return RingImage::default();
    }
    RingImage { slots: current.into(), previous: None, window_ends_ms: 0 }
}

struct Slot {
    current: u32,
    previous: u32,
    is_moved: bool,
}

impl Slot {
    fn new(word: u32, previous: u32) -> Self {
        let is_moved = word & SLOT_MOVED != 0;
        // A previous backend without a mark is left from a plan that was cut short before the
        // ring was swapped: no miss was ever stored because of it.
        let previous = if is_moved { previous } else { 0 };
        Self { current: word & !SLOT_MOVED, previous, is_moved }
    }

    /// Clears the mark, unless a flow that is not stored yet may live on a previous backend.
    fn clear(&mut self) {
        self.is_moved &= self.previous != 0;
    }

    /// Sends new flows to `next`; whether the slot got a previous backend by that.
    fn go(&mut self, next: u32, is_living: impl Fn(u32) -> bool) -> bool {
        if next == self.current {
            return false;
        }
        let left = std::mem::replace(&mut self.current, next);
        if left == 0 || !is_living(left) {
            return false;
        }
        self.is_moved = true;
        // The oldest backend that still lives stays: while there is one, the flows of `left`
        // are all stored.
        let is_gained = self.previous == 0;
        if is_gained {
            self.previous = left;
        }
        is_gained
    }

    fn word(&self) -> u32 {
        self.current | if self.is_moved { SLOT_MOVED } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const M: u32 = SLOT_MOVED;

    fn ring(slots: &[u32], previous: &[u32], window_ends_ms: u64) -> RingImage {
        let previous = (!previous.is_empty()).then(|| previous.into());
        RingImage { slots: slots.into(), previous, window_ends_ms }
    }

    fn to(current: &[u32]) -> Step<'_> {
        Step { current: Some(current), now_ms: 100, window_ms: 70, held_slots: None }
    }

    fn all_live(index: u32) -> bool {
        index != 0
    }

    #[test]
    fn a_slot_that_moves_keeps_its_oldest_living_backend() {
        let one = advance(&ring(&[1, 2], &[], 0), &to(&[2, 2]), all_live);
        assert_eq!(one, ring(&[2 | M, 2], &[1, 0], 170));
        let two = advance(&one, &Step { now_ms: 120, ..to(&[3, 2]) }, all_live);
        assert_eq!(two, ring(&[3 | M, 2], &[1, 0], 170), "still 1, for as long as before");
        let back = advance(&two, &Step { now_ms: 120, ..to(&[1, 2]) }, all_live);
        assert_eq!(back, ring(&[1 | M, 2], &[1, 0], 170), "flows of 2 and 3 need the mark");
    }

    #[test]
    fn a_dead_backend_leaves_nothing_to_protect() {
        let unmarked = advance(&ring(&[1, 2], &[], 0), &to(&[2, 2]), |index| index == 2);
        assert_eq!(unmarked, ring(&[2, 2], &[], 0));
        let marked = ring(&[2 | M, 2], &[1, 0], 170);
        let next = advance(&marked, &to(&[3, 3]), |index| index == 3);
        assert_eq!(next, ring(&[3 | M, 3], &[], 0), "stored flows may live on any backend");
    }

    #[test]
    fn when_the_previous_dies_the_current_owns_the_misses() {
        let marked = ring(&[2 | M], &[1], 170);
        let alone = advance(&marked, &Step { current: None, ..to(&[]) }, |index| index > 1);
        assert_eq!(alone, ring(&[2 | M], &[], 0));
        assert_eq!(advance(&alone, &to(&[3]), all_live), ring(&[3 | M], &[2], 170));
    }

    #[test]
    fn no_backend_for_new_flows_still_leads_old_ones_home() {
        let drained = advance(&ring(&[1], &[], 0), &to(&[0]), all_live);
        assert_eq!(drained, ring(&[M], &[1], 170));
        assert_eq!(advance(&drained, &to(&[2]), all_live), ring(&[2 | M], &[1], 170));
    }

    #[test]
    fn marks_go_after_the_window_and_only_where_nothing_is_held() {
        let held = BTreeSet::from([1]);
        let sweep = Step { current: None, held_slots: Some(&held), ..to(&[]) };
        let open = ring(&[2 | M, 2 | M, 3], &[1, 1, 0], 170);
        assert_eq!(advance(&open, &sweep, all_live), open, "not within the window");
        let over = advance(&open, &Step { now_ms: 170, ..sweep }, all_live);
        assert_eq!(over, ring(&[2 | M, 2 | M, 3], &[], 0), "misses were stored until now");
        let swept = advance(&over, &Step { now_ms: 180, ..sweep }, all_live);
        assert_eq!(swept, ring(&[2, 2 | M, 3], &[], 0));
    }

    #[test]
    fn a_previous_backend_without_a_mark_counts_for_nothing() {
        let cut_short = ring(&[1], &[1], 110);
        assert_eq!(advance(&cut_short, &to(&[2]), all_live), ring(&[2 | M], &[1], 170));
    }

    #[test]
    fn the_hash_is_of_names_not_of_indexes_or_marks() {
        let hash = |slots: &[u32], names: &[(u32, &'static str)]| {
            let names: BTreeMap<u32, &str> = names.iter().copied().collect();
            ring_hash(&ring(slots, &[], 0), |index| names.get(&index).copied())
        };
        let one = hash(&[1, 2, 1], &[(1, "a"), (2, "b")]);
        assert_eq!(one, hash(&[8, 5 | M, 8], &[(8, "a"), (5, "b")]));
        assert_ne!(one, hash(&[2, 1, 1], &[(1, "a"), (2, "b")]));
    }
}
