//! The data plane against the kernel: real maps, programs, links and interfaces. Runs as root.
//! Every test has an instance and network namespaces of its own.

mod attaching;
mod contents;
mod flows;
mod host;
mod reaching;
