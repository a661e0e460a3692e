//! HTTP/1 over memory: what a server and a client of ours do, seen from their other end.

mod client;
mod harness;
mod probe;
#[path = "../../../../tests/src/http/probes.rs"]
mod probes;
mod round_trip;
mod server;
mod tunnel;
