//! Spreads probes in time, the same way every run for the same seed.

use std::time::Duration;

/// Largest deviation from the interval, per mille.
const SPREAD_PER_MILLE: u64 = 100;

/// A SplitMix64 sequence (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// OOPSLA 2014).
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    state: u64,
}

impl Jitter {
    /// The sequence of `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `interval` within ten per cent either way.
    pub(super) fn around(&mut self, interval: Duration) -> Duration {
        let low_per_mille = 1_000 - SPREAD_PER_MILLE;
        let per_million = low_per_mille * 1_000 + self.next() % (2 * SPREAD_PER_MILLE * 1_000 + 1);
        let interval_ns = interval.as_nanos() * u128::from(per_million) / 1_000_000;
        Duration::from_nanos(u64::try_from(interval_ns).unwrap_or(u64::MAX))
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stays_within_ten_per_cent(seed: u64, interval_ms in 1_u64..3_600_000) {
            let interval = Duration::from_millis(interval_ms);
            let jittered = Jitter::new(seed).around(interval);
            prop_assert!(jittered + Duration::from_nanos(1) >= interval * 9 / 10);
            prop_assert!(jittered <= interval * 11 / 10);
        }
    }

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let interval = Duration::from_secs(5);
        let sequence = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..8).map(|_| jitter.around(interval)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }
}
