//! How long requests took.

use std::time::Duration;

/// How long requests took, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name")]
pub(super) struct Latency {
    /// Half of them took no longer.
    pub p50_us: f64,
    /// 99 % of them.
    pub p99_us: f64,
    /// 99.9 % of them.
    pub p999_us: f64,
}

impl Latency {
    /// Of these requests; zero without any.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let at = |per_mille: usize| {
            let time = times.get(last * per_mille / 1_000).copied();
            time.unwrap_or_default().as_nanos() as f64 / 1e3
        };
        Self { p50_us: at(500), p99_us: at(990), p999_us: at(999) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_times() {
        let times = (0..=1_000).rev().map(Duration::from_micros).collect();
        let expected = Latency { p50_us: 500.0, p99_us: 990.0, p999_us: 999.0 };
        assert_eq!(Latency::of(times), expected);
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }
}
