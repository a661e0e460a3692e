//! What the balancer needs of SCTP (RFC 9260). Its ports are where those of TCP and UDP are; its
//! checksum knows no pseudo header, so that it changes with the ports only.

use super::{Ip, PacketView, transport::Transport};

/// Protocol number of SCTP.
pub const SCTP: u8 = 132;
/// Offset of the checksum in the common header.
pub const CHECKSUM: usize = 8;
/// Bytes of the common header.
pub const HEADER_BYTES: usize = 12;
/// Bytes of a chunk's header, without which there is no packet (RFC 9260 section 3).
pub const CHUNK_BYTES: usize = 4;

/// Chunk types (RFC 9260 section 3.2): opens an association; always alone in its packet.
pub const INIT: u8 = 1;
/// Ends an association at once.
pub const ABORT: u8 = 6;
/// Ends an association: no new data from its sender.
pub const SHUTDOWN: u8 = 7;
/// Answers [`SHUTDOWN`].
pub const SHUTDOWN_ACK: u8 = 8;
/// The last packet of an association.
pub const SHUTDOWN_COMPLETE: u8 = 14;

/// Reads the header of an SCTP packet and the type of its first chunk, which tells what the packet
/// means for its association: control chunks come before data. `None` if it is cut short.
#[inline(always)]
pub fn parse<V: PacketView>(view: &V, ip: &Ip) -> Option<Transport> {
    let end = ip.l3 + ip.length as usize;
    if ip.l4 + HEADER_BYTES + CHUNK_BYTES > end {
        return None;
    }
    let [source_port, destination_port]: [u16; 2] = view.read(ip.l4)?;
    let chunk: u8 = view.read(ip.l4 + HEADER_BYTES)?;
    Some(Transport { source_port, destination_port, opens: chunk == INIT, closes: ends(chunk) })
}

#[inline(always)]
const fn ends(chunk: u8) -> bool {
    matches!(chunk, ABORT | SHUTDOWN | SHUTDOWN_ACK | SHUTDOWN_COMPLETE)
}
