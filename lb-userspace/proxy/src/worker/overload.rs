//! What a worker does when there is more to do than its CPU can: some requests are told so at once,
//! so that the rest does not wait for ever longer.
//!
//! What is watched is how long a turn takes: the time from when something is ready until its task
//! runs, because all that was ready before runs first. It is taken in CPU time of the worker's own
//! thread: that others use the CPU is no reason to refuse anybody.

use nix::time::{ClockId, clock_gettime};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A turn is measured at most so often.
const MEASURE_INTERVAL: Duration = Duration::from_millis(10);
/// Turns must have been too long for so long: a burst is worked off (CoDel, RFC 8289, section 4.2).
const PATIENCE: Duration = Duration::from_millis(100);
/// A measurement older than this says nothing any more.
const MEMORY: Duration = Duration::from_secs(2);
/// While turns stay too long, the share of refused requests grows by one in this time.
const GROWTH: Duration = Duration::from_secs(1);
/// A measurement stands for so long at most.
const STEP_MAX: Duration = Duration::from_millis(200);
/// Somebody is always let in.
const SHARE_MAX: f64 = 0.9;
/// Below this the share is none.
const SHARE_MIN: f64 = 0.01;
/// Refusing costs time that requests could have had: 10 to 15 us of CPU each, so this is less than
/// a tenth of it. Requests beyond it wait for their turn.
const REFUSALS_PER_SECOND: f64 = 6_000.0;
/// As many may come at once: a tenth of a second's.
const REFUSALS_MAX: f64 = REFUSALS_PER_SECOND / 10.0;

/// Watches the turns of a worker.
#[derive(Debug, Default)]
pub(super) struct Overload {
    control: RefCell<Control>,
    measured: Cell<Option<Instant>>,
    is_wanted: Notify,
}

impl Overload {
    /// Whether a request that came now is refused.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        let is_old = |it: Instant| now.saturating_duration_since(it) >= MEASURE_INTERVAL;
        if self.measured.get().is_none_or(is_old) {
            // Until the next is there, this one counts as new.
            self.measured.set(Some(now));
            self.is_wanted.notify_one();
        }
        self.control.borrow_mut().refuses(now)
    }

    /// Whether turns are too long.
    pub(super) fn is_busy(&self) -> bool {
        self.control.borrow().share > 0.0
    }

    /// Measures turns as requests come; a worker without requests is not woken. Never ends.
    /// `turn_max` tells the longest turn that is not too long.
    pub(super) async fn watch(&self, turn_max: impl Fn() -> Option<Duration>) {
        loop {
            self.is_wanted.notified().await;
            let began = cpu_time();
            // Comes back when all that is ready now has run.
            tokio::task::yield_now().await;
            let turn = cpu_time().saturating_sub(began);
            let now = Instant::now();
            self.measured.set(Some(now));
            self.control.borrow_mut().measured(now, turn, turn_max());
        }
    }
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    // Every kernel has this clock.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Decides which share of requests is refused.
#[derive(Debug, Default)]
struct Control {
    /// Of all requests.
    share: f64,
    /// What is owed of a refusal.
    owed: f64,
    /// Refusals that may be made at once.
    left: f64,
    /// When [`Self::left`] was last filled up.
    filled: Option<Instant>,
    /// Since when turns are too long.
    too_long_since: Option<Instant>,
    measured: Option<Instant>,
}

impl Control {
    /// A turn took so long.
    fn measured(&mut self, now: Instant, turn: Duration, turn_max: Option<Duration>) {
        let since = self.measured.replace(now).map(|it| now.saturating_duration_since(it));
        let step = since.unwrap_or_default().min(STEP_MAX);
        let max = turn_max.unwrap_or(Duration::MAX);
        if turn <= max {
            self.too_long_since = None;
            if turn <= max / 2 {
                self.share /= 2.0;
            }
            if self.share < SHARE_MIN {
                self.share = 0.0;
            }
            return;
        }
        let too_long_since = *self.too_long_since.get_or_insert(now);
        if now.saturating_duration_since(too_long_since) >= PATIENCE {
            self.share += step.as_secs_f64() / GROWTH.as_secs_f64();
            self.share = self.share.min(SHARE_MAX);
        }
    }

    /// Whether the next request is refused: as evenly as the share allows.
    fn refuses(&mut self, now: Instant) -> bool {
        let is_old = |it: Instant| now.saturating_duration_since(it) > MEMORY;
        if self.share == 0.0 || self.measured.is_none_or(is_old) {
            self.share = 0.0;
            return false;
        }
        let filled = self.filled.replace(now).map(|it| now.saturating_duration_since(it));
        let new = filled.map_or(REFUSALS_MAX, |it| it.as_secs_f64() * REFUSALS_PER_SECOND);
        self.left = (self.left + new).min(REFUSALS_MAX);
        self.owed += self.share;
        if self.owed < 1.0 {
            return false;
        }
        self.owed -= 1.0;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Option<Duration> = Some(Duration::from_millis(100));

    /// A worker whose turns take `turn` for `time`, measured after each.
    fn turns(control: &mut Control, now: &mut Instant, turn: Duration, time: Duration) {
        let end = *now + time;
        while *now < end {
            *now += turn.max(MEASURE_INTERVAL);
            control.measured(*now, turn, MAX);
        }
    }

    fn refused(control: &mut Control, now: Instant, requests: usize) -> usize {
        (0..requests).filter(|_| control.refuses(now)).count()
    }

    #[test]
    fn a_burst_is_worked_off_and_what_lasts_is_refused_in_part() {
        let (mut control, mut now) = (Control::default(), Instant::now());
        turns(&mut control, &mut now, Duration::from_millis(20), Duration::from_secs(1));
        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_millis(150));
        assert_eq!(refused(&mut control, now, 100), 0);
        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_millis(600));
        let some = refused(&mut control, now, 100);
        assert!((40..=80).contains(&some), "{some}");
        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_secs(10));
        assert_eq!(refused(&mut control, now, 100), 90);
    }

    #[test]
    fn it_is_over_when_turns_are_short_again_or_nothing_was_asked_for_long() {
        let (mut control, mut now) = (Control::default(), Instant::now());
        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_secs(10));
        let mut later = now + MEMORY;
        assert!(refused(&mut control, later, 10) > 0);
        turns(&mut control, &mut later, Duration::from_millis(10), Duration::from_millis(100));
        assert_eq!(refused(&mut control, later, 100), 0);

        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_secs(10));
        assert_eq!(refused(&mut control, now + MEMORY + Duration::from_millis(1), 100), 0);
    }

    #[test]
    fn refusals_cost_no_more_than_their_budget() {
        let (mut control, mut now) = (Control::default(), Instant::now());
        turns(&mut control, &mut now, Duration::from_millis(150), Duration::from_secs(10));
        let all = refused(&mut control, now, 100_000) as f64;
        assert!((all - REFUSALS_MAX).abs() < 1.0, "{all}");
        let half = now + Duration::from_millis(50);
        let more = refused(&mut control, half, 100_000) as f64;
        assert!((more - REFUSALS_MAX / 2.0).abs() <= 1.0, "{more}");
    }

    #[test]
    fn without_a_limit_nobody_is_refused() {
        let (mut control, mut now) = (Control::default(), Instant::now());
        for _ in 0..100 {
            now += Duration::from_secs(1);
            control.measured(now, Duration::from_secs(1), None);
        }
        assert_eq!(refused(&mut control, now, 100), 0);
    }
}
