//! How long something took.

use super::Counter;
use std::time::Duration;

/// Upper bounds of the buckets, seconds (OpenTelemetry semantic conventions,
/// `http.server.request.duration`).
pub const BUCKETS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The same in microseconds.
const BUCKETS_US: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Durations by bucket; written by one thread.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS_S.len() + 1],
    sum_us: Counter,
}

/// Durations of all threads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSum {
    /// Durations per bucket, each without those of the buckets before it; the last has no bound.
    pub buckets: [u64; BUCKETS_S.len() + 1],
    /// Seconds in all.
    pub sum_s: f64,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS_US.iter().position(|bound| us <= *bound).unwrap_or(BUCKETS_US.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(1);
        }
        self.sum_us.add(us);
    }

    /// Adds what was counted to `sum`.
    pub fn add_to(&self, sum: &mut HistogramSum) {
        for (bucket, total) in self.buckets.iter().zip(&mut sum.buckets) {
            *total += bucket.load();
        }
        sum.sum_s += self.sum_us.load() as f64 / 1e6;
    }
}

impl HistogramSum {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration, in seconds, that a `share` (0 to 1) of all does not exceed, if they are spread
    /// evenly over their bucket; the largest bound if it is beyond it. `None` = there are none.
    pub fn quantile_s(&self, share: f64) -> Option<f64> {
        let rank = share.clamp(0.0, 1.0) * self.count() as f64;
        let (mut below, mut lower_s) = (0.0, 0.0);
        for (count, upper_s) in self.buckets.iter().zip(BUCKETS_S) {
            let count = *count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(lower_s + (upper_s - lower_s) * ((rank - below) / count));
            }
            below += count;
            lower_s = upper_s;
        }
        (self.count() > 0).then_some(lower_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let histogram = Histogram::default();
        for (ms, times) in [(5, 2), (6, 1), (10_000, 3), (10_001, 1)] {
            (0..times).for_each(|_| histogram.record(Duration::from_millis(ms)));
        }
        let mut sum = HistogramSum::default();
        histogram.add_to(&mut sum);
        assert_eq!((sum.buckets[0], sum.buckets[1]), (2, 1));
        assert_eq!((sum.buckets[13], sum.buckets[14]), (3, 1));
        assert!((sum.sum_s - 40.017).abs() < 1e-9);
        for (seconds, us) in BUCKETS_S.iter().zip(BUCKETS_US) {
            assert!((seconds * 1e6 - us as f64).abs() < 1e-3);
        }
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let mut sum = HistogramSum::default();
        assert_eq!(sum.quantile_s(0.5), None);
        sum.buckets[1] = 98;
        sum.buckets[4] = 2;
        let near = |share: f64, wanted: f64| {
            let found = sum.quantile_s(share).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{share}: {found}");
        };
        near(0.49, 0.0075);
        near(0.99, 0.0625);
        near(1.0, 0.075);
        sum.buckets = [0; 15];
        sum.buckets[14] = 1;
        assert_eq!(sum.quantile_s(0.5), Some(10.0), "no bound is known");
    }
}
