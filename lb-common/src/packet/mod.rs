//! Reading and writing packet bytes: one protocol a file. Nothing here knows VIPs or backends.

pub mod checksum;
pub mod crc32c;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod sctp;
pub mod transport;
mod view;

pub use view::{PacketView, Wire};

use crate::abi::Words;

/// An IP packet up to its transport header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ip {
    /// Offset of the IP header in the frame, bytes: 14, 18 or 22.
    pub l3: usize,
    /// Offset of what follows the IP header and its extensions, bytes; less than [`L4_MAX`].
    pub l4: usize,
    /// Source address, IPv4-mapped if IPv4.
    pub source: Words,
    /// Destination address, IPv4-mapped if IPv4.
    pub destination: Words,
    /// Identification of a fragmented datagram; 0 if whole.
    pub identification: u32,
    /// Bytes of the whole IP packet, without link-layer padding.
    pub length: u16,
    /// Transport protocol number.
    pub protocol: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Whether it may not be fragmented on its way (IPv4 DF; always for IPv6).
    pub dont_fragment: bool,
    /// Its part in a fragmented datagram.
    pub fragment: Fragment,
    /// Zero.
    pub pad: u8,
}

/// Transport headers start before this offset. A power of two: a mask proves it to the verifier.
pub const L4_MAX: usize = 2_048;

/// A packet's part in a fragmented datagram.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    Whole,
    /// The first fragment: it has the transport header.
    First,
    /// A later one: it has not.
    Later,
}

/// Why an IP header could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpError {
    /// Cut short before its addresses: nothing is known about it.
    Unreadable,
    /// Lengths or version contradict each other; the destination could be read.
    BadHeader(Words),
    /// More extension headers than are followed; the destination could be read.
    TooManyExtensions(Words),
}
