//! Which backend: hash, slot, ring, and the tracked flows of slots that moved.

mod affinity;
pub mod hash;
#[cfg(any(test, feature = "std"))]
pub mod maglev;
#[cfg(any(test, feature = "std"))]
pub mod name;
mod pick;

pub use pick::{Flow, Pick, Slot, pick, pick_untracked, settled, slot, slot_of, still_living};
