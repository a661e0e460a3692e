//! What the kernel programs and user space share.
//!
//! Two things live here: the **contract** ([`limits`], [`abi`], [`verdict`]) and the **pure packet
//! path** (packet, balance, forward), written once over PacketView and
//! Tables so that the very code the kernel runs is also unit-tested, fuzzed and
//! simulated in user space.
#![no_std]

pub mod abi;
pub mod limits;
pub mod verdict;

#[cfg(any(test, feature = "user"))]
extern crate std;
