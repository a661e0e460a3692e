//! The data plane against the kernel: real maps, programs, links and interfaces. Runs as root.
//! Every test has an instance and network namespaces of its own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod attaching;
mod contents;
mod flows;
mod host;
mod pipeline;
mod reaching;
mod sockets;
mod steering;
