//! What the balancer needs of TCP (RFC 9293) and UDP (RFC 768); SCTP is in [`super::sctp`].

use super::{Ip, PacketView};

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

const FIN: u8 = 1 << 0;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;

/// The fixed part of a TCP header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TcpHead {
    ports: [u16; 2],
    sequence: [u32; 2],
    offset: u8,
    flags: u8,
    rest: [u16; 3],
}

/// Ports and what the packet means for its flow.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// Source port, network order.
    pub source_port: u16,
    /// Destination port, network order.
    pub destination_port: u16,
    /// Whether it opens a flow: a SYN without ACK, an INIT.
    pub opens: bool,
    /// Whether it ends a flow: FIN or RST, ABORT or a chunk of a shutdown.
    pub closes: bool,
}

/// Reads a TCP header; `None` if it is cut short.
#[inline(always)]
pub fn tcp<V: PacketView>(view: &V, ip: &Ip) -> Option<Transport> {
    let head: TcpHead = view.read(ip.l4)?;
    (ip.l4 + size_of::<TcpHead>() <= ip.l3 + ip.length as usize).then_some(Transport {
        source_port: head.ports[0],
        destination_port: head.ports[1],
        opens: head.flags & (SYN | ACK) == SYN,
        closes: head.flags & (FIN | RST) != 0,
    })
}

/// Reads a UDP header; `None` if it is cut short.
#[inline(always)]
pub fn udp<V: PacketView>(view: &V, ip: &Ip) -> Option<Transport> {
    let head: [u16; 4] = view.read(ip.l4)?;
    (ip.l4 + size_of::<[u16; 4]>() <= ip.l3 + ip.length as usize).then_some(Transport {
        source_port: head[0],
        destination_port: head[1],
        opens: false,
        closes: false,
    })
}

const _: () = assert!(size_of::<TcpHead>() == 20);
