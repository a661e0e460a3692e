//! Rings: the Maglev table of a VIP, and the previous backends of its moved slots.

use super::pod;
use crate::limits::RING_SLOTS_MAX;

/// Mark in a ring slot: the slot moved, so flows are looked up and stored (just-enough tracking).
/// The low bits are a backend array index, 0 = none.
pub const SLOT_MOVED: u32 = 1 << 31;

/// The one value of a ring's inner map, so that a whole ring is written by one system call and
/// swapped by one pointer. In `lb_rings` a slot holds a backend index and [`SLOT_MOVED`]; in
/// `lb_previous` it holds the previous backend's index or 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingTable {
    /// Backend indexes.
    pub slots: [u32; RING_SLOTS_MAX as usize],
}

pod!(RingTable);
const _: () = assert!(size_of::<RingTable>() == 4 * RING_SLOTS_MAX as usize);
