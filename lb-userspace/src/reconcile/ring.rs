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

use super::{
    RingImage,
    hash::{Fnv, mix},
};
use lb_common::abi::SLOT_MOVED;
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
        let mut state = Slot {
            current: word & !SLOT_MOVED,
            previous: before.unwrap_or(0),
            is_moved: word & SLOT_MOVED != 0,
        };
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
