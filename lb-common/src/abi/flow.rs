//! Flow tables: flows of moved slots only.

use super::{BackendId, Words, pod};

/// A flow as the client sends it: client to VIP. An affinity record has source
/// port 0 and its VIP's index as destination port.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct FlowKey {
    /// Source address, IPv4-mapped if IPv4.
    pub source: Words,
    /// Destination address, IPv4-mapped if IPv4.
    pub destination: Words,
    /// Source port, network order.
    pub source_port: u16,
    /// Destination port, network order.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero; in two fields, because the compiler calls `memset` for three bytes.
    pub pad: u8,
    /// Zero.
    pub pad2: u16,
}

/// Set once the flow was seen to end (FIN, RST; SCTP's ABORT and SHUTDOWN): user space forgets it early.
pub const FLOW_FLAG_CLOSING: u32 = 1 << 0;

/// A tracked flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FlowEntry {
    /// Where the flow lives.
    pub backend: BackendId,
    /// `FLOW_FLAG_*`.
    pub flags: u32,
    /// Last packet, nanoseconds of the kernel's monotonic clock.
    pub last_seen_ns: u64,
}

impl FlowEntry {
    /// A flow of `backend`, seen now.
    #[inline(always)]
    pub const fn new(backend: BackendId, now_ns: u64) -> Self {
        Self { backend, flags: 0, last_seen_ns: now_ns }
    }
}

pod!(FlowKey, FlowEntry);
const _: () = assert!(size_of::<FlowKey>() == 40);
const _: () = assert!(size_of::<FlowEntry>() == 16);
