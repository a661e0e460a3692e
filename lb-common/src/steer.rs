//! Steering: which listening socket takes what comes for a proxied VIP.
//!
//! The host's stack asks when a packet is for no connection that it knows: a SYN, or a datagram.

use crate::{
    abi::{VipEntry, VipKey4, VipKey6, Words},
    packet::transport::{TCP, UDP},
};

/// Address families (include/linux/socket.h).
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// Length of the map of sockets: one for each protocol and family.
pub const SOCKET_SLOTS: u32 = SocketSlot::ALL.len() as u32;

/// Number of [`SteerOutcome`]s; the length of their counter array.
pub const STEER_OUTCOMES: u32 = SteerOutcome::ALL.len() as u32;

/// A place in the map of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum SocketSlot {
    /// TCP over IPv4.
    Tcp4 = 0,
    /// TCP over IPv6.
    Tcp6 = 1,
    /// UDP over IPv4.
    Udp4 = 2,
    /// UDP over IPv6.
    Udp6 = 3,
}

impl SocketSlot {
    /// All places, in order.
    pub const ALL: [Self; 4] = [Self::Tcp4, Self::Tcp6, Self::Udp4, Self::Udp6];

    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp4 => "tcp4",
            Self::Tcp6 => "tcp6",
            Self::Udp4 => "udp4",
            Self::Udp6 => "udp6",
        }
    }
}

/// What became of a question; the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum SteerOutcome {
    /// The proxy's socket takes it.
    Steered = 0,
    /// Not for a proxied VIP: the host's own sockets are looked up.
    NotProxied = 1,
    /// For a proxied VIP, but no socket is in its place: no proxy runs. The host's own sockets are
    /// looked up, and as a rule nobody listens: the client gets a RST or an ICMP error.
    NoSocket = 2,
    /// The socket cannot take it (it no longer listens): as for `NoSocket`.
    Refused = 3,
}

impl SteerOutcome {
    /// All outcomes, in counter order.
    pub const ALL: [Self; 4] = [Self::Steered, Self::NotProxied, Self::NoSocket, Self::Refused];

    /// The stable name used by counters and tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steered => "steered",
            Self::NotProxied => "steer_not_proxied",
            Self::NoSocket => "steer_no_socket",
            Self::Refused => "steer_refused",
        }
    }
}

/// The VIP tables.
pub trait Vips {
    /// IPv4 VIP.
    fn vip4(&self, key: &VipKey4) -> Option<VipEntry>;
    /// IPv6 VIP.
    fn vip6(&self, key: &VipKey6) -> Option<VipEntry>;
}

/// What the host's stack looks for: the destination of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// `AF_INET` or `AF_INET6`.
    pub family: u32,
    /// IP protocol number.
    pub protocol: u32,
    /// Destination of an IPv4 packet, network order.
    pub ipv4: u32,
    /// Destination of an IPv6 packet.
    pub ipv6: Words,
    /// Destination port, network order.
    pub port: u16,
}

/// The place of the socket that takes it; `None` = it is not for a proxied VIP.
#[inline(always)]
pub fn slot<V: Vips>(vips: &V, query: &Query) -> Option<SocketSlot> {
    let is_tcp = query.protocol == TCP as u32;
    if !is_tcp && query.protocol != UDP as u32 {
        return None;
    }
    let (port, protocol, pad) = (query.port, query.protocol as u8, 0);
    let (found, slot) = match query.family {
        AF_INET => (
            vips.vip4(&VipKey4 { address: query.ipv4, port, protocol, pad }),
            if is_tcp { SocketSlot::Tcp4 } else { SocketSlot::Udp4 },
        ),
        AF_INET6 => (
            vips.vip6(&VipKey6 { address: query.ipv6, port, protocol, pad }),
            if is_tcp { SocketSlot::Tcp6 } else { SocketSlot::Udp6 },
        ),
        _ => return None,
    };
    // An all-ports VIP is never the proxy's: only the VIP of this very port counts.
    found.filter(VipEntry::is_proxied).map(|_| slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Mode, VIP_FLAG_PROXIED};

    /// `192.0.2.1` and `2001:db8::1`: 80/tcp and 53/udp are the proxy's, 81/tcp and all other
    /// ports are forwarded.
    struct Two;

    fn entry(port: u16, protocol: u8) -> Option<VipEntry> {
        let proxied = VipEntry { flags: VIP_FLAG_PROXIED, ..VipEntry::default() };
        let forwarded = VipEntry { mode: Mode::Tunnel as u8, ..VipEntry::default() };
        match (u16::from_be(port), protocol) {
            (80, TCP) | (53, UDP) => Some(proxied),
            (81 | 0, TCP) => Some(forwarded),
            _ => None,
        }
    }

    impl Vips for Two {
        fn vip4(&self, key: &VipKey4) -> Option<VipEntry> {
            (key.address == V4).then(|| entry(key.port, key.protocol))?
        }

        fn vip6(&self, key: &VipKey6) -> Option<VipEntry> {
            (key.address == V6).then(|| entry(key.port, key.protocol))?
        }
    }

    const V4: u32 = u32::from_ne_bytes([192, 0, 2, 1]);
    const V6: Words = [0xb80d_0120, 0, 0, 0x0100_0000];

    fn asked(family: u32, protocol: u8, port: u16) -> Option<SocketSlot> {
        let protocol = protocol.into();
        slot(&Two, &Query { family, protocol, ipv4: V4, ipv6: V6, port: port.to_be() })
    }

    #[test]
    fn each_protocol_and_family_has_its_socket() {
        assert_eq!(asked(AF_INET, TCP, 80), Some(SocketSlot::Tcp4));
        assert_eq!(asked(AF_INET6, TCP, 80), Some(SocketSlot::Tcp6));
        assert_eq!(asked(AF_INET, UDP, 53), Some(SocketSlot::Udp4));
        assert_eq!(asked(AF_INET6, UDP, 53), Some(SocketSlot::Udp6));
    }

    #[test]
    fn only_a_proxied_vip_of_the_very_port_is_steered() {
        for family in [AF_INET, AF_INET6] {
            for (protocol, port) in [(TCP, 81), (TCP, 8080), (UDP, 80), (TCP, 53), (132, 80)] {
                assert_eq!(asked(family, protocol, port), None, "{family} {protocol} {port}");
            }
        }
        assert_eq!(asked(1, TCP, 80), None);
        let other = Query { family: AF_INET, protocol: 6, ipv4: 1, ipv6: V6, port: 80_u16.to_be() };
        assert_eq!(slot(&Two, &other), None);
    }

    #[test]
    fn places_and_counters_are_numbered_in_order() {
        for (index, slot) in SocketSlot::ALL.into_iter().enumerate() {
            assert_eq!(slot as usize, index);
        }
        for (index, outcome) in SteerOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }
}
