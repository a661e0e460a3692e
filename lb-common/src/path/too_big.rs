//! Path MTU: a packet that does not fit to its backend is answered, not lost (RFC 1191, RFC 8201).

use crate::{
    packet::{
        Fragment, Ip, PacketView,
        checksum::Sum,
        ethernet,
        icmp::{HEADER_BYTES, ICMP, ICMPV6},
        ipv4, ipv6,
    },
    tables::Tables,
    verdict::{Outcome, Packed},
};

/// Smallest MTU that is ever told (RFC 791 section 3.2): below it, nothing could be sent.
const MTU_MIN: u16 = 68;
/// Bytes of the refused packet's transport header that are quoted (RFC 792).
const QUOTED_BYTES: usize = 8;
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_FRAGMENTATION_NEEDED: u8 = 4;
const ICMPV6_TOO_BIG: u8 = 2;

/// Whether a packet with `overhead` bytes added is larger than `mtu`.
#[inline(always)]
pub(super) const fn exceeds(ip: &Ip, mtu: u16, overhead: usize) -> bool {
    ip.length as usize + overhead > mtu as usize
}

/// Turns the packet into an ICMP error to its sender that tells the MTU. Only a packet with a plain
/// header that asks not to be fragmented is answered; others are dropped by name.
#[inline(always)]
pub(super) fn answer<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    mtu: u16,
) -> Packed {
    let Some(ip) = tables.kept() else {
        return Packed::dropped(Outcome::DropTooBig);
    };
    let ip_bytes = if V4 { ipv4::HEADER_BYTES } else { ipv6::HEADER_BYTES };
    let is_plain = ip.l4 == ip.l3 + ip_bytes && matches!(ip.fragment, Fragment::Whole);
    if !is_plain || !ip.dont_fragment || mtu < MTU_MIN {
        return Packed::dropped(Outcome::DropTooBig);
    }
    let built = if V4 { build4(view, &ip, mtu) } else { build6(view, &ip, mtu) };
    match built {
        Some(()) => Packed::answered(Outcome::TooBigAnswered),
        None => Packed::dropped(Outcome::DropTooBig),
    }
}

#[inline(always)]
fn build4<V: PacketView>(view: &mut V, ip: &Ip, mtu: u16) -> Option<()> {
    let header: [u32; 5] = view.read(ip.l3)?;
    let rest: [u32; 2] = view.read(ip.l3 + ipv4::HEADER_BYTES)?;
    if !view.truncate(ip.l3 + ipv4::HEADER_BYTES + QUOTED_BYTES) {
        return None;
    }
    // No loop here or below: Linux 6.1 refuses one whose head follows a call.
    let [a, b, c, d, e] = header;
    let sum = Sum::default().add32(e).add_words([a, b, c, d]).add32(rest[0]).add32(rest[1]);
    let kind = u16::from_ne_bytes([ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED]);
    let told = mtu.to_be();
    let checksum = sum.add16(kind).add16(told).checksum();
    let outer = ipv4::header(
        0,
        (HEADER_BYTES + ipv4::HEADER_BYTES + QUOTED_BYTES) as u16,
        ICMP,
        ipv4::unmapped(ip.destination),
        ipv4::unmapped(ip.source),
    );
    let message = [u32::from_ne_bytes(pair(kind, checksum)), u32::from_ne_bytes(pair(0, told))];
    prepend(view, ip.l3, ethernet::IPV4, outer, message)
}

#[inline(always)]
fn build6<V: PacketView>(view: &mut V, ip: &Ip, mtu: u16) -> Option<()> {
    let header: [u32; 10] = view.read(ip.l3)?;
    let rest: [u32; 2] = view.read(ip.l3 + ipv6::HEADER_BYTES)?;
    if !view.truncate(ip.l3 + ipv6::HEADER_BYTES + QUOTED_BYTES) {
        return None;
    }
    let length = (HEADER_BYTES + ipv6::HEADER_BYTES + QUOTED_BYTES) as u16;
    let kind = u16::from_ne_bytes([ICMPV6_TOO_BIG, 0]);
    let told = (mtu as u32).to_be();
    let [a, b, c, d, e, f, g, h, i, j] = header;
    let sum = Sum::default()
        .add16(kind)
        .add32(told)
        .add32(i)
        .add32(j)
        .add_words([a, b, c, d])
        .add_words([e, f, g, h])
        .add32(rest[0])
        .add32(rest[1]);
    // Pseudo-header (RFC 8200 section 8.1).
    let checksum = sum
        .add_words(ip.source)
        .add_words(ip.destination)
        .add32((length as u32).to_be())
        .add32((ICMPV6 as u32).to_be())
        .checksum();
    let outer = ipv6::header(0, length, ICMPV6, ip.destination, ip.source);
    let message = [u32::from_ne_bytes(pair(kind, checksum)), told];
    prepend(view, ip.l3, ethernet::IPV6, outer, message)
}

/// Puts an IP header and an ICMP header in front of the quoted packet, back to the sender.
#[inline(always)]
fn prepend<V: PacketView, const N: usize>(
    view: &mut V,
    l3: usize,
    ether_type: u16,
    outer: [u32; N],
    message: [u32; 2],
) -> Option<()>
where
    [u32; N]: crate::packet::Wire,
{
    let back = ethernet::way_back(view)?;
    ethernet::make_room(view, l3, || message, &back, ether_type)?;
    ethernet::make_room(view, l3, || outer, &back, ether_type)
}

#[inline(always)]
const fn pair(first: u16, second: u16) -> [u8; 4] {
    let [a, b] = first.to_ne_bytes();
    let [c, d] = second.to_ne_bytes();
    [a, b, c, d]
}
