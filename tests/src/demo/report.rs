//! What the demo prints and counts.

use std::fmt::Display;

use crate::client::Tally;
use crate::lab::{Family, Host};
use crate::services::Mode;

/// Failures of one row that are printed; the others are only counted.
const FAILURES_SHOWN_MAX: usize = 5;

/// Counts over the whole demo.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// TCP connections and UDP exchanges.
    pub(super) connection_count: u64,
    unexpected: Vec<String>,
}

/// One row of the table.
pub(super) struct Row<'run> {
    pub(super) mode: Mode,
    pub(super) family: Family,
    pub(super) what: &'static str,
    pub(super) tally: &'run Tally,
}

impl Report {
    /// Prints the head of the table.
    pub(super) fn head(backends: &[Host]) {
        print!(
            "{:<7} {:<6} {:<7} {:>11} {:>8}",
            "mode", "family", "what", "connections", "failures"
        );
        for backend in backends {
            print!("   {:>5} share (expected)", backend.name());
        }
        println!();
    }

    /// Prints a row and counts its connections and failures; `expected` are the shares by
    /// backend, 0 to 1.
    pub(super) fn row(&mut self, row: &Row<'_>, backends: &[Host], expected: &[f64]) {
        let Row { mode, family, what, tally } = row;
        print!("{mode:<7} {family:<6} {what:<7} {:>11} {:>8}", tally.total, tally.failures.len());
        for (backend, expected) in backends.iter().zip(expected) {
            let share = 100.0 * tally.share(backend.name());
            print!("   {share:>10.2}% {:>10}", format!("({:.2}%)", 100.0 * expected));
        }
        println!();
        let title = format!("{mode} {family} {what}");
        self.count(&title, tally);
        for (backend, expected) in backends.iter().zip(expected) {
            let share = tally.share(backend.name());
            if (share - expected).abs() > tolerance(*expected, tally.success_count()) {
                let name = backend.name();
                self.unexpected(format!("{title}: {name} got {share:.4}, not {expected:.4}"));
            }
        }
    }

    /// Counts the connections of a run without a row of its own, and its failures.
    pub(super) fn count(&mut self, title: &str, tally: &Tally) {
        self.connection_count += tally.total;
        let failures: Vec<String> =
            tally.failures.iter().map(|failure| format!("{title}: {failure}")).collect();
        self.unexpected_all(failures);
    }

    /// Counts and prints something that should not have happened.
    pub(super) fn unexpected(&mut self, what: impl Display) {
        self.unexpected_all(vec![what.to_string()]);
    }

    /// Counts all of them, prints the first few.
    pub(super) fn unexpected_all(&mut self, failures: Vec<String>) {
        for failure in failures.iter().take(FAILURES_SHOWN_MAX) {
            println!("  UNEXPECTED: {failure}");
        }
        if let Some(more) = failures.len().checked_sub(FAILURES_SHOWN_MAX)
            && more > 0
        {
            println!("  ... and {more} more");
        }
        self.unexpected.extend(failures);
    }

    /// How many unexpected things have happened.
    pub(super) fn unexpected_count(&self) -> usize {
        self.unexpected.len()
    }
}

/// How far a share may be off: 1 % that the ring itself may be uneven, and five standard
/// deviations of `count` flows that each choose by chance.
fn tolerance(expected: f64, count: u64) -> f64 {
    0.01 * expected + 5.0 * (expected * (1.0 - expected) / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_shrinks_with_the_count_to_the_rings_own() {
        assert!(tolerance(0.25, 100) > 0.2);
        assert!(tolerance(0.25, 10_000) < 0.025);
        assert!((tolerance(0.25, u64::MAX) - 0.0025).abs() < 1e-4);
        assert!(tolerance(0.0, 10).abs() < 1e-9);
    }
}
