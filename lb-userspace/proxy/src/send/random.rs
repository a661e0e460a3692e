//! Random numbers for choices: fast, one generator per thread. Not for secrets.

use lb_common::balance::name::mix;
use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
}

/// The next number: a Weyl sequence, mixed (Steele et al., "Fast splittable pseudorandom number
/// generators", 2014).
pub(super) fn next() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(GOLDEN);
        state.set(next);
        mix(next)
    })
}

/// A number below `limit`; 0 if that is 0.
pub(super) fn below(limit: u64) -> u64 {
    ((u128::from(next()) * u128::from(limit)) >> 64) as u64
}

/// A number in 0..1.
pub(super) fn unit() -> f64 {
    (next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Begins this thread's sequence anew, so that a test sees the same choices each time.
#[cfg(test)]
pub(super) fn restart(seed: u64) {
    STATE.with(|state| state.set(seed));
}
