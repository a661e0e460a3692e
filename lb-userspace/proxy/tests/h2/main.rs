//! HTTP/2 over memory: what a server and a client of ours do, seen from their other end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panic"
)]

mod attack;
mod conformance;
mod endpoint;
mod farewell;
mod harness;
#[expect(unreachable_pub, reason = "it is a module of a library, too")]
#[path = "../../../../tests/src/http2/mod.rs"]
mod http2;
mod pieces;
mod round_trip;
mod versions;
