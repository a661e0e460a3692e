//! Header compression (RFC 7541). The decoder is the peer's mirror; the encoder keeps no table: a
//! response's fields are written as literals behind the number of their name, as nginx and HAProxy
//! do it, which costs some bytes and no search.

mod decode;
mod encode;
mod huffman;
mod integer;
mod table;

pub use decode::Decoder;
pub use encode::Encoder;
pub use table::{Header, Name};

/// A header block that cannot be read: the connection ends by `COMPRESSION_ERROR` (RFC 9113, section
/// 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header block that cannot be read")]
pub struct HpackError;
