//! Fragment table: what the first fragment of a datagram taught.

use super::{BackendId, Words, pod};

/// Identity of a fragmented datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FragmentKey {
    /// Source address, IPv4-mapped if IPv4.
    pub source: Words,
    /// Destination address, IPv4-mapped if IPv4.
    pub destination: Words,
    /// Identification, as on the wire (IPv4: 16 bits).
    pub identification: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero; in two fields as in [`super::FlowKey`].
    pub pad: u8,
    /// Zero.
    pub pad2: u16,
}

/// Which way the datagram travels, and so how its later fragments are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FragmentPath {
    /// Client to backend; with NAT the addresses in the entry replace the packet's.
    Forward = 0,
    /// Backend to client through NAT: the addresses in the entry replace the packet's.
    Reply = 1,
    /// Client to a proxied VIP: passed to the host's stack.
    Proxy = 2,
}

/// Value of the fragment table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FragmentEntry {
    /// Backend of the datagram; none if it is the proxy's.
    pub backend: BackendId,
    /// [`FragmentPath`].
    pub path: u8,
    /// Zero.
    pub pad: u8,
    /// Zero.
    pub pad2: u16,
    /// Translated source, if translated.
    pub source: Words,
    /// Translated destination, if translated.
    pub destination: Words,
    /// When the first fragment was seen, nanoseconds of the kernel's monotonic clock.
    pub learnt_ns: u64,
    /// Flow hash, which also spreads a tunnel's outer source.
    pub hash: u32,
    /// VIP index of the datagram, if it is the proxy's.
    pub vip: u32,
}

pod!(FragmentKey, FragmentEntry);
const _: () = assert!(size_of::<FragmentKey>() == 40);
const _: () = assert!(size_of::<FragmentEntry>() == 56);
