//! What the kernel programs and user space share.
//!
//! Two things live here: the **contract** ([`limits`], [`abi`], [`verdict`]) and the **pure packet
//! path** ([`packet`], [`balance`], [`path`]), written once over [`packet::PacketView`] and
//! [`tables::Tables`] so that the very code the kernel runs is also unit-tested, fuzzed and
//! simulated in user space. [`steer`] and [`decap`] are the same for the programs beside it.
#![no_std]

pub mod abi;
pub mod balance;
pub mod decap;
pub mod limits;
pub mod packet;
pub mod path;
pub mod steer;
pub mod tables;
pub mod verdict;

#[cfg(any(test, feature = "std"))]
extern crate std;
