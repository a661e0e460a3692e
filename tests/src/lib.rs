//! The harness: topologies of network namespaces, real servers and clients, captures.
//!
//! What a test usually needs, in the order it needs it: [`lab::Lab::up`] raises the hosts,
//! [`server::Server::start`] puts a real server on a backend, the functions of [`client`] send
//! real traffic and tally who answered, [`capture::Capture`] proves what was on the wire, and
//! [`wait::eventually`] waits for a state instead of sleeping. [`packet`] has the packet tables,
//! which need no traffic.

pub mod authority;
pub mod bench;
pub mod capture;
pub mod client;
#[expect(clippy::indexing_slicing, reason = "an index of JSON gives null")]
pub mod conformance;
pub mod curl;
pub mod demo;
pub mod desync;
pub mod http;
pub mod http2;
#[expect(clippy::indexing_slicing, reason = "an index of JSON gives null, or makes it an object")]
pub mod kube;
pub mod lab;
pub mod lbd;
pub mod load;
pub mod origin;
pub mod ours;
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "fixtures and assertions of tests: a panic is how a row fails"
)]
pub mod packet;
pub mod port;
pub mod rivals;
pub mod scale;
pub mod server;
pub mod services;
pub mod site;
pub mod strict;
pub mod tls_client;
pub mod wait;
