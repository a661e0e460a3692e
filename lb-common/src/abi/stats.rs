//! Counters, one copy per CPU.

use super::pod;

/// Packets and bytes (whole frames as received) of a backend entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BackendCounters {
    /// Frames forwarded to the backend.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Translated replies from the backend.
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
}

/// Packets and bytes of an [`crate::verdict::Outcome`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OutcomeCounters {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Events of a VIP; see [`crate::verdict::Event`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VipEvents {
    /// Tracked flows found.
    pub tracked_hits: u64,
    /// Misses decided by the previous backend.
    pub misses_previous: u64,
    /// Misses decided by the current backend: connections about to break.
    pub misses_current: u64,
    /// Flows stored by their opening packet.
    pub flows_opened: u64,
    /// ICMP errors routed to a flow's backend.
    pub icmp_routed: u64,
    /// Fragmented datagrams learnt.
    pub fragments_learnt: u64,
    /// Frames of clients outside the source ranges.
    pub sources_refused: u64,
    /// Frames passed to the host's stack for the proxy.
    pub proxied_packets: u64,
    /// Their bytes.
    pub proxied_bytes: u64,
}

pod!(BackendCounters, OutcomeCounters, VipEvents);
const _: () = assert!(size_of::<BackendCounters>() == 32);
const _: () = assert!(size_of::<OutcomeCounters>() == 16);
const _: () = assert!(size_of::<VipEvents>() == 72);
