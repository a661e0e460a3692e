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

impl VipKey4 {
    /// The key as one word of the same bytes. The kernel's hash reads a key in words of 32 bits: it
    /// waits where the stores of smaller fields have not left the CPU's store buffer yet. Shifts
    /// of words, because byte by byte the compiler would store it so.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        let [high, low] = self.port.to_ne_bytes();
        let tail = u32::from_ne_bytes([high, low, self.protocol, self.pad]);
        if cfg!(target_endian = "little") {
            (tail as u64) << 32 | self.address as u64
        } else {
            (self.address as u64) << 32 | tail as u64
        }
    }
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
    /// [`Mode`] of the VIP; 0 if it is proxied.
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
/// The host's stack gets the packets, and the proxy's listening socket the connections (see
/// [`crate::steer`]). Such a VIP has no ring and no backends.
pub const VIP_FLAG_PROXIED: u8 = 1 << 3;
/// Only clients in the VIP's ranges of `lb_sources` are served.
pub const VIP_FLAG_SOURCES: u8 = 1 << 4;

impl VipEntry {
    /// Forwarding mode, if valid.
    #[inline(always)]
    pub const fn mode(&self) -> Option<Mode> {
        Mode::from_wire(self.mode)
    }

    /// Whether the VIP is the proxy's.
    #[inline(always)]
    pub const fn is_proxied(&self) -> bool {
        self.flags & VIP_FLAG_PROXIED != 0
    }

    /// The name in tools of what is done with the VIP's packets: the mode's, or `proxy`.
    pub const fn mode_name(&self) -> Option<&'static str> {
        if self.is_proxied() {
            return Some("proxy");
        }
        match self.mode() {
            Some(mode) => Some(mode.name()),
            None => None,
        }
    }
}

pod!(VipKey4, VipKey6, VipEntry);
const _: () = assert!(size_of::<VipKey4>() == 8);
const _: () = assert!(size_of::<VipKey6>() == 20);
const _: () = assert!(size_of::<VipEntry>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_word_are_the_same_bytes() {
        let key = VipKey4 {
            address: u32::from_ne_bytes([192, 0, 2, 1]),
            port: 443_u16.to_be(),
            protocol: 6,
            pad: 0,
        };
        assert_eq!(key.to_word().to_ne_bytes(), [192, 0, 2, 1, 1, 187, 6, 0]);
    }
}
