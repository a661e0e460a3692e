//! What a captured packet says in its IP header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol number of an IPv6 fragment header (RFC 8200 section 4.5).
const FRAGMENT: u8 = 44;
/// Protocol numbers of IPv4 and IPv6 inside another packet (RFC 2003, RFC 2473).
const IPV4_INSIDE: u8 = 4;
const IPV6_INSIDE: u8 = 41;

/// The parts of an IPv4 or IPv6 packet that say where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPacket<'bytes> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol of the payload; of a fragmented IPv6 packet, that behind the fragment header.
    pub protocol: u8,
    /// Whether it is a part of a larger packet.
    pub is_fragment: bool,
    /// Everything after the IP headers.
    pub payload: &'bytes [u8],
}

impl<'bytes> IpPacket<'bytes> {
    /// Parses from the first byte of the IP header; IPv6 extension headers other than a fragment
    /// header are taken as the payload.
    pub fn parse(bytes: &'bytes [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    /// The packet in a tunnel packet.
    pub fn inner(&self) -> Option<Self> {
        matches!(self.protocol, IPV4_INSIDE | IPV6_INSIDE)
            .then(|| Self::parse(self.payload))
            .flatten()
    }

    /// Source and destination port; only of a packet that begins with them.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let port = |at: usize| {
            let bytes = self.payload.get(at..at + 2)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        Some((port(0)?, port(2)?))
    }

    fn parse_v4(bytes: &'bytes [u8]) -> Option<Self> {
        let header_bytes = usize::from(bytes.first()? & 0xf) * 4;
        // Flags and offset; all but the reserved bit and "don't fragment" are of fragments.
        let fragment = u16::from_be_bytes(bytes.get(6..8)?.try_into().ok()?) & 0x3fff;
        let address = |at: usize| {
            let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        };
        Some(Self {
            source: address(12)?,
            destination: address(16)?,
            protocol: *bytes.get(9)?,
            is_fragment: fragment != 0,
            payload: bytes.get(header_bytes..)?,
        })
    }

    fn parse_v6(bytes: &'bytes [u8]) -> Option<Self> {
        let next = *bytes.get(6)?;
        let address = |at: usize| {
            let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        };
        let is_fragment = next == FRAGMENT;
        Some(Self {
            source: address(8)?,
            destination: address(24)?,
            protocol: if is_fragment { *bytes.get(40)? } else { next },
            is_fragment,
            payload: bytes.get(if is_fragment { 48 } else { 40 }..)?,
        })
    }
}
