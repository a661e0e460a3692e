//! HTTP/1 over memory: what our server and our client do, seen from their other ends.

#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "assertions of tests: a panic is how one fails, and size matters to nobody"
)]

mod client;
mod ends;
mod harness;
mod probe;
#[expect(unreachable_pub, dead_code, reason = "shared with the harness, which uses all of it")]
#[path = "../../../../tests/src/http/probes/mod.rs"]
mod probes;
mod round_trip;
mod server;
mod strict;
mod tunnel;
