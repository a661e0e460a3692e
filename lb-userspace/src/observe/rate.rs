//! A limit on log lines that an outside cause could repeat without end.

use std::time::{Duration, Instant};

/// Lets one line through per period and counts the rest.
#[derive(Clone, Debug)]
pub struct RateLimit {
    period: Duration,
    last: Option<Instant>,
    suppressed_count: u64,
}

impl RateLimit {
    /// One line per `period`.
    pub const fn new(period: Duration) -> Self {
        Self { period, last: None, suppressed_count: 0 }
    }

    /// Whether a line may be written at `now`: how many were held back since the last one, or
    /// `None` to hold this one back too.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < self.period) {
            self.suppressed_count += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_period_and_the_rest_counted() {
        let start = Instant::now();
        let mut limit = RateLimit::new(Duration::from_secs(10));
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.admit(after(0)), Some(0));
        assert_eq!(limit.admit(after(1)), None);
        assert_eq!(limit.admit(after(9)), None);
        assert_eq!(limit.admit(after(10)), Some(2));
        assert_eq!(limit.admit(after(11)), None);
    }
}
