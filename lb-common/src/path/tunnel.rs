//! IP in IP: RFC 2003 (4in4), RFC 2473 (6in6, 4in6), RFC 4213 (6in4).

use crate::{
    abi::{BackendEntry, NextHop, Words, copied},
    packet::{Ip, PacketView, ethernet, ipv4, ipv6},
};

/// Protocol number of encapsulated IPv4 (RFC 2003).
const IPV4_IN_IP: u8 = 4;
/// Protocol number of encapsulated IPv6 (RFC 2473).
const IPV6_IN_IP: u8 = 41;

/// Bytes that the tunnel to a backend adds.
#[inline(always)]
pub(super) const fn overhead(backend: &BackendEntry) -> usize {
    if backend.is_ipv4 != 0 { ipv4::HEADER_BYTES } else { ipv6::HEADER_BYTES }
}

/// Puts the packet into a packet to the backend. The inner packet stays as it is; the outer takes
/// over its traffic class (RFC 6040 section 4.1, normal mode), and the flow hash goes into the
/// outer source so that backends spread flows over their receive queues.
#[inline(always)]
pub(super) fn encapsulate<const V4: bool, V: PacketView>(
    view: &mut V,
    ip: &Ip,
    backend: &BackendEntry,
    hop: &NextHop,
    hash: u32,
) -> Option<()> {
    let inner = if V4 { IPV4_IN_IP } else { IPV6_IN_IP };
    if backend.is_ipv4 != 0 {
        let outer = || {
            let source = spread4(ipv4::unmapped(backend.source), hash);
            let destination = ipv4::unmapped(backend.address);
            ipv4::header(ip.traffic_class, ip.length, inner, source, destination)
        };
        ethernet::make_room(view, ip.l3, outer, hop, ethernet::IPV4)
    } else {
        let outer = || {
            let source = spread6(&backend.source, hash);
            ipv6::header(ip.traffic_class, ip.length, inner, source, copied(&backend.address))
        };
        ethernet::make_room(view, ip.l3, outer, hop, ethernet::IPV6)
    }
}

/// The low 16 bits of an IPv4 source take the hash.
#[inline(always)]
const fn spread4(base: u32, hash: u32) -> u32 {
    (base & 0xffff_0000_u32.to_be()) | (hash & 0xffff).to_be()
}

/// The low 32 bits of an IPv6 source take the hash.
#[inline(always)]
const fn spread6(base: &Words, hash: u32) -> Words {
    [base[0], base[1], base[2], hash.to_be()]
}
