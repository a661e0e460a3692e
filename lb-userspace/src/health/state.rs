//! Rise and fall: the verdict about one backend from the results of its probes. No IO, no clock.

/// Counts results in a row and turns them into up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiseFall {
    rise: u8,
    fall: u8,
    is_up: bool,
    /// Results in a row that contradict `is_up`.
    against: u8,
}

impl RiseFall {
    /// A machine that starts up or down. A threshold of 0 counts as 1.
    pub fn new(rise: u8, fall: u8, is_up: bool) -> Self {
        Self { rise: rise.max(1), fall: fall.max(1), is_up, against: 0 }
    }

    /// Whether the backend is held for healthy.
    pub const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Takes one result; returns the new verdict if it changed.
    pub fn feed(&mut self, passed: bool) -> Option<bool> {
        if passed == self.is_up {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = if self.is_up { self.fall } else { self.rise };
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.is_up = passed;
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdicts(machine: &mut RiseFall, results: &str) -> String {
        let feed = |c| {
            machine.feed(c == '+');
            if machine.is_up() { 'U' } else { 'D' }
        };
        results.chars().map(feed).collect()
    }

    #[test]
    fn falls_after_fall_failures_in_a_row() {
        let mut machine = RiseFall::new(2, 3, true);
        assert_eq!(verdicts(&mut machine, "--+--+---"), "UUUUUUUUD");
    }

    #[test]
    fn rises_after_rise_successes_in_a_row() {
        let mut machine = RiseFall::new(2, 3, false);
        assert_eq!(verdicts(&mut machine, "+-+-++"), "DDDDDU");
    }

    #[test]
    fn reports_only_changes() {
        let mut machine = RiseFall::new(1, 1, true);
        assert_eq!(machine.feed(true), None);
        assert_eq!(machine.feed(false), Some(false));
        assert_eq!(machine.feed(false), None);
        assert_eq!(machine.feed(true), Some(true));
    }

    #[test]
    fn zero_thresholds_count_as_one() {
        let mut machine = RiseFall::new(0, 0, true);
        assert_eq!(machine.feed(false), Some(false));
    }

    proptest! {
        /// The verdict is that of the last run of equal results that was long enough.
        #[test]
        fn agrees_with_the_definition(
            rise in 1_u8..6, fall in 1_u8..6, start: bool, results: Vec<bool>,
        ) {
            let mut machine = RiseFall::new(rise, fall, start);
            let (mut expected, mut run, mut last) = (start, 0_u32, None);
            for result in results {
                run = if last == Some(result) { run + 1 } else { 1 };
                last = Some(result);
                if run >= u32::from(if result { rise } else { fall }) {
                    expected = result;
                }
                let before = machine.is_up();
                let reported = machine.feed(result);
                prop_assert_eq!(machine.is_up(), expected);
                prop_assert_eq!(reported, (before != expected).then_some(expected));
            }
        }
    }
}
