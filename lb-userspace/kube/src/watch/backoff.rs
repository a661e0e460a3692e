//! How long to wait before the next try.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait.
const LAST: Duration = Duration::from_secs(30);

/// Waits that double, with jitter: the routers of a site must not come back in step.
#[derive(Debug)]
pub(super) struct Backoff {
    due: Duration,
    rng: fastrand::Rng,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { due: FIRST, rng: fastrand::Rng::new() }
    }
}

impl Backoff {
    /// The next wait: between half and all of what is due.
    pub(super) fn next(&mut self) -> Duration {
        let due = self.due;
        self.due = (due * 2).min(LAST);
        due.mul_f64(self.rng.f64().mul_add(0.5, 0.5))
    }

    /// Things went well.
    pub(super) fn reset(&mut self) {
        self.due = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= FIRST);
        let last = (0..20).map(|_| backoff.next()).last().unwrap();
        assert!((LAST / 2..=LAST).contains(&last), "{last:?}");
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
