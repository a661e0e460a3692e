//! The PROXY protocol (HAProxy, doc/proxy-protocol.txt, 2020/03/05): who the client is, told at
//! the begin of a connection.

mod read;
mod write;

pub use read::{Header, ProxyProtocolError, Sides, parse, read};
pub use write::write;

/// Section 2.2: what a binary header begins with.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Section 2.2: the version in the upper half, the command in the lower.
const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
/// Section 2.2: the family in the upper half, the transport in the lower.
const V2_TCP4: u8 = 0x11;
const V2_UDP4: u8 = 0x12;
const V2_TCP6: u8 = 0x21;
const V2_UDP6: u8 = 0x22;
