//! The packet table: what the program does with one packet or a few, run in the kernel on frames
//! from memory. One file a subject.

mod decap;
mod dnat;
mod eviction;
mod extensions;
mod fragments;
mod icmp;
mod icmp_nat;
mod l2dsr;
mod malformed;
mod model;
mod nat;
mod next_hop;
mod pass;
mod proxied;
mod sctp;
mod sources;
mod sources_model;
mod tracking;
mod truncated;
mod tunnel;
