//! A trace request and its answer, carried in the XDP metadata area in front of the packet.
//!
//! `lbctl trace` runs the loaded program (`BPF_PROG_TEST_RUN`) with a [`TraceRecord`] whose cookie
//! equals the program's own. The program then takes its dry path: same look-ups, same rewriting,
//! but nothing is stored or counted, and each decision is noted in the record.

use super::pod;

/// Size of the record; XDP metadata is at most 32 bytes before Linux 6.10.
pub const TRACE_BYTES: usize = 32;

/// The next hop came from the backend entry.
pub const TRACE_NEXT_HOP_CACHED: u8 = 1;
/// The next hop came from `bpf_fib_lookup`.
pub const TRACE_NEXT_HOP_LOOKUP: u8 = 2;

/// One packet's decisions.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TraceRecord {
    /// In: the program's cookie. Kept in the answer.
    pub cookie: u64,
    /// Ring slot of the flow.
    pub slot: u32,
    /// The slot's word: current backend index and moved mark.
    pub slot_word: u32,
    /// Backend index chosen, 0 = none.
    pub backend: u32,
    /// Egress interface, 0 = none.
    pub ifindex: u32,
    /// VIP index plus one, 0 = not a VIP.
    pub vip_plus_one: u16,
    /// [`crate::verdict::Decision`].
    pub decision: u8,
    /// `TRACE_NEXT_HOP_*`, 0 = none.
    pub next_hop: u8,
    /// [`crate::verdict::Outcome`] if not forwarded, 255 = forwarded.
    pub outcome: u8,
    /// Zero.
    pub pad: [u8; 3],
}

pod!(TraceRecord);
const _: () = assert!(size_of::<TraceRecord>() == TRACE_BYTES);
