//! The alternating run: rounds of baseline, rival and ours, and what they say.

use anyhow::Result;

use super::driver::{Driver, Subject};

/// Packets of a timed batch, at least: a few ms, so that rival and ours are measured in the same
/// state of a machine that others use too.
const BATCH_PACKETS_MIN: u32 = 50_000;

/// The programs of one run.
#[derive(Debug)]
pub struct Subjects {
    /// Does nothing.
    pub empty: Subject,
    /// Makes room for an outer header and does nothing else.
    pub grow: Subject,
    /// The kernel's program.
    pub rival: Subject,
    /// Ours, no slot moved.
    pub ours: Subject,
    /// Ours, every slot moved.
    pub moved: Subject,
}

/// What one round measured: ns of CPU time a packet, driver included.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The empty program.
    pub empty_ns: f64,
    /// The program that makes room.
    pub grow_ns: f64,
    /// The rival.
    pub rival_ns: f64,
    /// Ours, no slot moved.
    pub ours_ns: f64,
    /// Ours, every slot moved.
    pub moved_ns: f64,
}

impl Round {
    /// What the driver does to take an outer header off: half of the pair grow and strip, both
    /// being one `bpf_xdp_adjust_head`. A balancer does the first half, and the driver the second.
    pub fn strip_ns(&self) -> f64 {
        (self.grow_ns - self.empty_ns) / 2.0
    }

    /// What a program costs alone: `raw_ns` of this round without driver, empty program and strip.
    pub fn net_ns(&self, raw_ns: f64) -> f64 {
        raw_ns - self.empty_ns - self.strip_ns()
    }

    /// A program, by its `raw_ns` of this round, as a share of the rival; below 1 is faster.
    pub fn ratio(&self, raw_ns: f64) -> f64 {
        self.net_ns(raw_ns) / self.net_ns(self.rival_ns)
    }
}

/// Runs the rounds over the flows the driver has. A round visits every program once, so the two
/// balancers alternate A B A B, with a baseline before either.
pub fn rounds(
    driver: &mut Driver,
    subjects: &Subjects,
    flow_count: u32,
    rounds_count: u32,
) -> Result<Vec<Round>> {
    let passes_count = passes(flow_count);
    (0..rounds_count)
        .map(|_| {
            let empty_ns = driver.time(&subjects.empty, passes_count)?;
            let rival_ns = driver.time(&subjects.rival, passes_count)?;
            let grow_ns = driver.time(&subjects.grow, passes_count)?;
            let ours_ns = driver.time(&subjects.ours, passes_count)?;
            let moved_ns = driver.time(&subjects.moved, passes_count)?;
            Ok(Round { empty_ns, grow_ns, rival_ns, ours_ns, moved_ns })
        })
        .collect()
}

/// Packets that a round sends through each program, the untimed pass included.
pub fn round_packets(flow_count: u32) -> u64 {
    u64::from(flow_count) * u64::from(1 + passes(flow_count))
}

/// Timed passes over all flows in a batch.
fn passes(flow_count: u32) -> u32 {
    BATCH_PACKETS_MIN.div_ceil(flow_count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::spread::Spread;

    fn round(rival_ns: f64, ours_ns: f64) -> Round {
        Round { empty_ns: 10.0, grow_ns: 30.0, rival_ns, ours_ns, moved_ns: 120.0 }
    }

    #[test]
    fn the_driver_and_the_strip_are_subtracted_from_both() {
        let round = round(120.0, 70.0);
        assert!((round.strip_ns() - 10.0).abs() < 1e-9);
        assert!((round.net_ns(round.rival_ns) - 100.0).abs() < 1e-9);
        assert!((round.ratio(round.ours_ns) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_ratio_is_taken_round_by_round() {
        let ratios = |rounds: &[Round]| {
            let spread = Spread::of(rounds, |round| round.ratio(round.ours_ns));
            [spread.min, spread.median, spread.max].map(|ratio| (ratio * 100.0).round() as i64)
        };
        let odd = [round(120.0, 70.0), round(220.0, 120.0), round(120.0, 120.0)];
        assert_eq!(ratios(&odd), [50, 50, 100]);
        let even = [round(120.0, 70.0), round(120.0, 120.0)];
        assert_eq!(ratios(&even), [50, 75, 100]);
        assert_eq!(ratios(&[]), [0; 3]);
    }
}
