//! What is remembered about a VIP, written by the agent only: with the names it makes the pinned
//! maps tell the whole truth when the daemon is down.

use super::{BackendCounters, Words, pod};

/// Bytes of the reason of an `auto` mode that are kept; the rest is cut.
pub const VIP_REASON_BYTES_MAX: usize = 120;

/// Value of `lb_vip_info`, keyed by VIP index.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipInfo {
    /// Address, IPv4-mapped if IPv4.
    pub address: Words,
    /// Port, network order; 0 = all ports.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Whether `address` is IPv4 (mapped).
    pub is_ipv4: u8,
    /// Zero.
    pub pad: u32,
    /// End of the transition window, milliseconds since the Unix epoch.
    pub window_ends_ms: u64,
    /// Counters of backends that are gone, so that the VIP's sums never fall.
    pub retired: BackendCounters,
    /// Service name, zero-padded UTF-8.
    pub service: [u8; 64],
    /// Reason of an `auto` mode, zero-padded UTF-8; empty = none.
    pub mode_reason: [u8; VIP_REASON_BYTES_MAX],
}

pod!(VipInfo);
const _: () = assert!(size_of::<VipInfo>() == 248);
