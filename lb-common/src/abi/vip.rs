//! VIP table: what traffic is ours.

use super::{Mode, Words, pod};

/// Key of an IPv4 VIP. `port` 0 is an all-ports VIP, or with the ICMP protocol the address marker.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct VipKey4 {
    /// Address, network order.
    pub address: u32,
    /// Port, network order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// Key of an IPv6 VIP; fields as in [`VipKey4`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct VipKey6 {
    /// Address, network order.
    pub address: Words,
    /// Port, network order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// Value of a VIP.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VipEntry {
    /// Index of the VIP: its ring, its previous ring and its event counters.
    pub index: u32,
    /// Slots of the ring in use, at most `RING_SLOTS_MAX`.
    pub ring_slots: u32,
    /// [`Mode`] of the VIP.
    pub mode: u8,
    /// `VIP_FLAG_*`.
    pub flags: u8,
    /// Zero.
    pub pad: [u8; 2],
    /// Lifetime in user space of an idle tracked flow, seconds.
    pub idle_timeout_s: u32,
}

/// The slot of a flow depends on the client address alone (source-address affinity).
pub const VIP_FLAG_AFFINITY: u8 = 1 << 0;
/// UDP flows of a moved slot stay with their previous backend; without it they follow the ring.
pub const VIP_FLAG_UDP_STICKS: u8 = 1 << 1;
/// Not a service: marks an address as a VIP address (port 0, ICMP or ICMPv6), so that echo
/// requests are answered, errors routed, and malformed traffic to it dropped instead of passed.
pub const VIP_FLAG_ADDRESS: u8 = 1 << 2;

impl VipEntry {
    /// Forwarding mode, if valid.
    #[inline(always)]
    pub const fn mode(&self) -> Option<Mode> {
        Mode::from_wire(self.mode)
    }
}

pod!(VipKey4, VipKey6, VipEntry);
const _: () = assert!(size_of::<VipKey4>() == 8);
const _: () = assert!(size_of::<VipKey6>() == 20);
const _: () = assert!(size_of::<VipEntry>() == 16);
