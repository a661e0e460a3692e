//! Which backend: hash, slot, ring, and the tracked flows of slots that moved.

mod affinity;
pub mod hash;
mod pick;

pub use pick::{Flow, Pick, Slot, pick, pick_untracked, settled, slot, slot_of, still_living};
