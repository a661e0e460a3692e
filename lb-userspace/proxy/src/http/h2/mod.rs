//! HTTP/2 (RFC 9113) to clients and to endpoints. Frames, HPACK and flow control are the `h2`
//! library's; what a peer may cost, what a message must look like, and what becomes of bodies is
//! decided here.

mod answer;
mod client;
mod clock;
mod frame;
mod incoming;
mod limits;
mod map;
mod meter;
mod metered;
mod outgoing;
mod request;
mod server;
mod upstream;

pub use client::{Client, ClientOptions};
pub use server::serve;
