//! HTTP/1.1 and HTTP/1.0 (RFC 9112), written for a proxy: it refuses what two readers could
//! understand differently, sends informational responses, and costs one `recv` and one `send` a
//! message. Parsing ([`head`], [`request`], [`response`], [`chunked`]) knows nothing of sockets.

pub mod chunked;
mod client;
mod encode;
pub mod head;
mod receiver;
pub mod request;
pub mod response;
mod sender;
mod server;

pub use client::{Client, ExchangeOptions, ResponseLimits};
pub use server::serve;
pub(in crate::http) use server::serve_on;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked,
    /// The sender closes the connection.
    Close,
}
