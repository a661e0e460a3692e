//! HTTP/2 (RFC 9113) to clients and to endpoints. Towards clients frames, header compression and flow
//! control are our own ([`server`](serve), [`hpack`]); towards endpoints they are the `h2` library's.
//! What a peer may cost, what a message must look like, and what becomes of bodies is decided here
//! for both.

mod client;
mod frame;
pub mod hpack;
mod incoming;
mod limits;
mod map;
mod meter;
mod metered;
mod outgoing;
mod server;
mod upstream;

pub use client::{Client, ClientOptions};
pub(in crate::http) use frame::PREFACE;
pub use server::serve;
pub(in crate::http) use server::serve_on;
