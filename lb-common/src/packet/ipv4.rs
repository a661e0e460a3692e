//! IPv4 (RFC 791).

use super::{Fragment, Ip, IpError, PacketView, checksum::Sum};
use crate::abi::{Words, mapped};

/// Bytes of a header without options.
pub const HEADER_BYTES: usize = 20;
/// TTL of packets that the balancer originates (IANA ip-parameters recommends 64).
pub const TTL: u8 = 64;

/// The fixed header. Aligned to words, because the BPF stack takes aligned accesses only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    version_and_length: u8,
    traffic_class: u8,
    length: u16,
    identification: u16,
    fragment: u16,
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
}

/// A header of a packet that may be cut short, as ICMP errors quote it.
#[derive(Clone, Copy)]
pub struct Quoted {
    /// Bytes of the header with its options.
    pub header_bytes: usize,
    /// Source address.
    pub source: Words,
    /// Destination address.
    pub destination: Words,
    /// Protocol number.
    pub protocol: u8,
}

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Reads the header at `l3`. Options are stepped over.
#[inline(always)]
pub fn parse<V: PacketView>(view: &V, l3: usize) -> Result<Ip, IpError> {
    let header: Header = view.read(l3).ok_or(IpError::Unreadable)?;
    let destination = mapped(header.destination);
    let header_bytes = header.header_bytes();
    let length = u16::from_be(header.length);
    if header.version_and_length >> 4 != 4
        || header_bytes < HEADER_BYTES
        || (length as usize) < header_bytes
        || view.length() - l3 < length as usize
    {
        return Err(IpError::BadHeader(destination));
    }
    let fragment_field = u16::from_be(header.fragment);
    Ok(Ip {
        l3,
        l4: l3 + header_bytes,
        source: mapped(header.source),
        destination,
        protocol: header.protocol,
        traffic_class: header.traffic_class,
        hop_limit: header.ttl,
        dont_fragment: fragment_field & DONT_FRAGMENT != 0,
        length,
        fragment: fragment(fragment_field),
        identification: header.identification as u32,
        pad: 0,
    })
}

/// Reads the header of a quoted packet at `l3`; `None` if it is not the start of a datagram.
#[inline(always)]
pub fn quoted<V: PacketView>(view: &V, l3: usize) -> Option<Quoted> {
    let header: Header = view.read(l3)?;
    let header_bytes = header.header_bytes();
    let is_later = u16::from_be(header.fragment) & FRAGMENT_OFFSET != 0;
    if header.version_and_length >> 4 != 4 || header_bytes < HEADER_BYTES || is_later {
        return None;
    }
    Some(Quoted {
        header_bytes,
        source: mapped(header.source),
        destination: mapped(header.destination),
        protocol: header.protocol,
    })
}

/// A header without options, checksum included, for a payload of `payload_length` bytes. It is
/// atomic (DF set, identification 0; RFC 6864 section 4.1).
#[inline(always)]
pub fn header(
    traffic_class: u8,
    payload_length: u16,
    protocol: u8,
    source: u32,
    destination: u32,
) -> [u32; 5] {
    let total = payload_length.wrapping_add(HEADER_BYTES as u16);
    let mut words = [
        u32::from_be(0x4500_0000 | (traffic_class as u32) << 16 | total as u32),
        u32::from_be((DONT_FRAGMENT) as u32),
        u32::from_be((TTL as u32) << 24 | (protocol as u32) << 16),
        source,
        destination,
    ];
    let sum = Sum::default()
        .add32(words[0])
        .add32(words[1])
        .add32(words[2])
        .add32(words[3])
        .add32(words[4]);
    // The checksum is the low half of the third word in network order: the high half as loaded on
    // a little-endian machine.
    words[2] |= u32::from_ne_bytes(checksum_bytes(sum.checksum()));
    words
}

impl Header {
    #[inline(always)]
    const fn header_bytes(&self) -> usize {
        ((self.version_and_length & 0x0f) as usize) * 4
    }
}

/// The IPv4 address inside an IPv4-mapped one.
#[inline(always)]
pub const fn unmapped(address: Words) -> u32 {
    address[3]
}

const fn checksum_bytes(checksum: u16) -> [u8; 4] {
    let [a, b] = checksum.to_ne_bytes();
    [0, 0, a, b]
}

#[inline(always)]
const fn fragment(field: u16) -> Fragment {
    if field & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == 0 {
        Fragment::Whole
    } else if field & FRAGMENT_OFFSET == 0 {
        Fragment::First
    } else {
        Fragment::Later
    }
}
