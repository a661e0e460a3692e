//! The other end of a tunnel: from a packet to a backend back to the packet of the client.

use crate::{
    abi::Words,
    packet::{
        Fragment, Ip, PacketView,
        ethernet::{self, Link},
        ipv4, ipv6,
    },
};

/// What became of a frame at the tunnel's end; the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DecapOutcome {
    /// Not a tunnel packet for this host: passed untouched.
    Passed = 0,
    /// The outer header was stripped, the inner packet passed.
    Stripped = 1,
    /// A tunnel packet whose inner packet is cut short or not what the outer header says.
    DroppedMalformed = 2,
    /// A fragment of a tunnel packet: balancers never send them.
    DroppedFragment = 3,
}

/// Number of outcomes; the length of the counter array.
pub const DECAP_OUTCOMES: u32 = 4;

/// Protocol number of encapsulated IPv4 (RFC 2003).
const IPV4_IN_IP: u8 = 4;
/// Protocol number of encapsulated IPv6 (RFC 2473).
const IPV6_IN_IP: u8 = 41;

impl DecapOutcome {
    /// All outcomes, in counter order.
    pub const ALL: [Self; DECAP_OUTCOMES as usize] =
        [Self::Passed, Self::Stripped, Self::DroppedMalformed, Self::DroppedFragment];

    /// The stable name used by tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Stripped => "stripped",
            Self::DroppedMalformed => "dropped_malformed",
            Self::DroppedFragment => "dropped_fragment",
        }
    }

    /// Whether the frame goes nowhere.
    #[inline(always)]
    pub const fn is_drop(self) -> bool {
        matches!(self, Self::DroppedMalformed | Self::DroppedFragment)
    }
}

/// Strips the outer header of an untagged tunnel packet whose destination `is_local`.
#[inline(always)]
pub fn strip<V: PacketView>(view: &mut V, is_local: impl Fn(&Words) -> bool) -> DecapOutcome {
    let Some((link, outer)) = parse(view) else { return DecapOutcome::Passed };
    let is_tunnel = outer.protocol == IPV4_IN_IP || outer.protocol == IPV6_IN_IP;
    if !is_tunnel || link.l3 != ethernet::HEADER_BYTES || !is_local(&outer.destination) {
        return DecapOutcome::Passed;
    }
    if !matches!(outer.fragment, Fragment::Whole) {
        return DecapOutcome::DroppedFragment;
    }
    // Only plain outer headers: balancers send no options and no extension headers.
    let (header_bytes, plain_l4) = if link.ether_type == ethernet::IPV4 {
        (ipv4::HEADER_BYTES, ethernet::HEADER_BYTES + ipv4::HEADER_BYTES)
    } else {
        (ipv6::HEADER_BYTES, ethernet::HEADER_BYTES + ipv6::HEADER_BYTES)
    };
    if outer.l4 != plain_l4 {
        return DecapOutcome::Passed;
    }
    let (version, ether_type) =
        if outer.protocol == IPV4_IN_IP { (4, ethernet::IPV4) } else { (6, ethernet::IPV6) };
    if view.read::<u8>(plain_l4).is_none_or(|first| first >> 4 != version) {
        return DecapOutcome::DroppedMalformed;
    }
    match unwrap(view, &link, header_bytes, ether_type) {
        Some(()) => DecapOutcome::Stripped,
        None => DecapOutcome::DroppedMalformed,
    }
}

#[inline(always)]
fn parse<V: PacketView>(view: &V) -> Option<(Link, Ip)> {
    let link = ethernet::parse(view)?;
    let ip = match link.ether_type {
        ethernet::IPV4 => ipv4::parse(view, link.l3),
        ethernet::IPV6 => ipv6::parse(view, link.l3),
        _ => return None,
    };
    Some((link, ip.ok()?))
}

#[inline(always)]
fn unwrap<V: PacketView>(
    view: &mut V,
    link: &Link,
    header_bytes: usize,
    ether_type: u16,
) -> Option<()> {
    if !view.shrink_front(header_bytes) {
        return None;
    }
    view.write(ethernet::HEADER_BYTES - 2, ether_type)?;
    view.write(0, link.macs)
}
