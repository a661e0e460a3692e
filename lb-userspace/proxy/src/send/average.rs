//! Moving averages that jump up at once and come down slowly (Finagle's peak EWMA).

use super::clock::nanoseconds;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// After this time without samples 37 % of a value are left (linkerd's `rtt_decay`).
const DECAY: Duration = Duration::from_secs(10);

/// A moving average. Two updates at once may lose one of them; that does not hurt an average.
#[derive(Debug, Default)]
pub(super) struct Average {
    bits: AtomicU64,
    updated_ns: AtomicU64,
}

impl Average {
    /// An average that begins with `value`.
    pub(super) fn new(value: f64, now_ns: u64) -> Self {
        Self { bits: AtomicU64::new(value.to_bits()), updated_ns: AtomicU64::new(now_ns) }
    }

    /// Takes a sample: a higher one at once, a lower one the more, the longer it is since the last.
    pub(super) fn take(&self, sample: f64, now_ns: u64) {
        let then = self.updated_ns.swap(now_ns, Relaxed);
        let value = self.last();
        let next = if sample >= value {
            sample
        } else {
            let left = left_after(now_ns.saturating_sub(then));
            value * left + sample * (1.0 - left)
        };
        self.bits.store(next.to_bits(), Relaxed);
    }

    /// What is left of it now: without samples it goes to nothing, so that nobody is shunned
    /// forever for what was long ago.
    pub(super) fn value(&self, now_ns: u64) -> f64 {
        let value = self.last();
        if value <= 0.0 {
            return 0.0;
        }
        value * left_after(now_ns.saturating_sub(self.updated_ns.load(Relaxed)))
    }

    fn last(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }
}

fn left_after(elapsed_ns: u64) -> f64 {
    (-(elapsed_ns as f64) / nanoseconds(DECAY) as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let average = Average::new(30.0, 0);
        average.take(100.0, SECOND);
        assert!((average.value(SECOND) - 100.0).abs() < 1e-9);
        average.take(10.0, 2 * SECOND);
        let after_one_second = average.value(2 * SECOND);
        assert!((90.0..93.0).contains(&after_one_second), "{after_one_second}");
        assert!(average.value(60 * SECOND) < 1.0);
    }
}
