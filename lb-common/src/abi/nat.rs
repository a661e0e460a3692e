//! Translated flows, both directions. Forward key: the packet from the client. Reverse key: the
//! packet from the backend. Both are [`super::FlowKey`].

use super::{BackendId, Words, pod};

/// Value of the forward table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NatEntry {
    /// Where the flow lives.
    pub backend: BackendId,
    /// Translated source port, network order (the client's own with DNAT only).
    pub source_port: u16,
    /// Zero.
    pub pad: u16,
    /// Translated source address (the client's own with DNAT only).
    pub source: Words,
    /// Last packet, nanoseconds of the kernel's monotonic clock.
    pub last_seen_ns: u64,
    /// `FLOW_FLAG_*`.
    pub flags: u32,
    /// Zero.
    pub pad2: u32,
}

/// Value of the reverse table: what a reply must look like to the client.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NatReverse {
    /// Client address.
    pub client: Words,
    /// VIP address.
    pub vip: Words,
    /// Client port, network order.
    pub client_port: u16,
    /// VIP port, network order.
    pub vip_port: u16,
    /// The backend that replies.
    pub backend: BackendId,
    /// Last reply, nanoseconds of the kernel's monotonic clock.
    pub last_seen_ns: u64,
    /// `FLOW_FLAG_*`.
    pub flags: u32,
    /// VIP index.
    pub vip_index: u32,
}

impl NatReverse {
    /// Whether two records of one reply tuple are of one flow. Without branches: the verifier walks
    /// this once for each port that is tried.
    #[inline(always)]
    pub const fn is_flow_of(&self, other: &Self) -> bool {
        let ports = (self.client_port ^ other.client_port) | (self.vip_port ^ other.vip_port);
        difference(&self.client, &other.client) | difference(&self.vip, &other.vip) | ports as u32
            == 0
    }
}

/// Zero if two addresses are the same.
#[inline(always)]
const fn difference(a: &Words, b: &Words) -> u32 {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])
}

pod!(NatEntry, NatReverse);
const _: () = assert!(size_of::<NatEntry>() == 40);
const _: () = assert!(size_of::<NatReverse>() == 56);
