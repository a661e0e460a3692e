//! IPv6 (RFC 8200), with a bounded walk over extension headers.

use super::{Fragment, Ip, IpError, L4_MAX, PacketView};
use crate::{abi::Words, limits::IPV6_EXTENSIONS_MAX};

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 40;
/// Hop limit of packets that the balancer originates (IANA ip-parameters recommends 64).
pub const HOP_LIMIT: u8 = 64;

/// The fixed header. Aligned to words, because the BPF stack takes aligned accesses only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    version_and_class: u16,
    flow_label: u16,
    payload_length: u16,
    protocol: u8,
    hop_limit: u8,
    source: Words,
    destination: Words,
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Reads the header at `l3` and the extension headers after it.
#[inline(always)]
pub fn parse<V: PacketView>(view: &V, l3: usize) -> Result<Ip, IpError> {
    let header: Header = view.read(l3).ok_or(IpError::Unreadable)?;
    let destination = header.destination;
    let version_and_class = u16::from_be(header.version_and_class);
    let length = u16::from_be(header.payload_length) as usize + HEADER_BYTES;
    if version_and_class >> 12 != 6 || length > 0xffff || view.length() - l3 < length {
        return Err(IpError::BadHeader(destination));
    }
    let mut ip = Ip {
        l3,
        l4: l3 + HEADER_BYTES,
        source: header.source,
        destination,
        protocol: header.protocol,
        traffic_class: (version_and_class >> 4) as u8,
        hop_limit: header.hop_limit,
        dont_fragment: true,
        length: length as u16,
        fragment: Fragment::Whole,
        identification: 0,
        pad: 0,
    };
    walk_extensions(view, &mut ip)?;
    Ok(ip)
}

/// A fixed header for a payload of `payload_length` bytes; flow label 0.
#[inline(always)]
pub fn header(
    traffic_class: u8,
    payload_length: u16,
    next_header: u8,
    source: Words,
    destination: Words,
) -> [u32; 10] {
    [
        u32::from_be(0x6000_0000 | (traffic_class as u32) << 20),
        u32::from_be((payload_length as u32) << 16 | (next_header as u32) << 8 | HOP_LIMIT as u32),
        source[0],
        source[1],
        source[2],
        source[3],
        destination[0],
        destination[1],
        destination[2],
        destination[3],
    ]
}

#[inline(always)]
fn walk_extensions<V: PacketView>(view: &V, ip: &mut Ip) -> Result<(), IpError> {
    for _ in 0..IPV6_EXTENSIONS_MAX {
        match ip.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [next, units] = view
                    .read::<u16>(ip.l4)
                    .ok_or(IpError::BadHeader(ip.destination))?
                    .to_ne_bytes();
                ip.protocol = next;
                ip.l4 += (units as usize + 1) * 8;
            }
            FRAGMENT => {
                let [next, _, high, low, id0, id1, id2, id3] =
                    view.read::<[u8; 8]>(ip.l4).ok_or(IpError::BadHeader(ip.destination))?;
                let offset_and_flags = u16::from_be_bytes([high, low]);
                ip.identification = u32::from_ne_bytes([id0, id1, id2, id3]);
                ip.protocol = next;
                ip.l4 += 8;
                if offset_and_flags & 0xfff8 != 0 {
                    // What follows is the middle of a datagram: there is no next header to read.
                    ip.fragment = Fragment::Later;
                    return Ok(());
                }
                if offset_and_flags & 1 != 0 {
                    ip.fragment = Fragment::First;
                }
            }
            _ => return Ok(()),
        }
        if ip.l4 >= L4_MAX {
            return Err(IpError::TooManyExtensions(ip.destination));
        }
    }
    match ip.protocol {
        HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | FRAGMENT => {
            Err(IpError::TooManyExtensions(ip.destination))
        }
        _ => Ok(()),
    }
}
