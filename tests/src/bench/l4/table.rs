//! How the result is printed.

use anyhow::Result;
use serde::Serialize;

use super::measure::Round;
use crate::bench::spread::Spread;

/// Everything a run found; its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `l4`.
    pub bench: &'static str,
    /// What was measured.
    pub scenario: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// The package the rival was compiled from, with its version.
    pub rival_package: String,
    /// The CPU everything ran on.
    pub cpu: u32,
    /// Rounds at each flow count.
    pub rounds_count: u32,
    /// One entry a flow count.
    pub results: Vec<FlowResult>,
}

/// The figures at one flow count, ns a packet.
#[derive(Debug, Serialize)]
pub struct FlowResult {
    /// Flows that took turns.
    pub flow_count: u32,
    /// Driver and empty program: already subtracted below.
    pub empty_ns: Spread,
    /// The driver's strip of the outer header: already subtracted below.
    pub strip_ns: Spread,
    /// The rival, net.
    pub rival_ns: Spread,
    /// Ours, net, no slot of a ring moved: the ring alone decides.
    pub ours_ns: Spread,
    /// Ours, net, every slot moved: every flow is looked up and found.
    pub moved_ns: Spread,
    /// `ours_ns` divided by `rival_ns`, round by round.
    pub ratio: Spread,
    /// `moved_ns` divided by `rival_ns`, round by round.
    pub ratio_moved: Spread,
}

impl FlowResult {
    /// Sums up the rounds at one flow count.
    pub fn new(flow_count: u32, rounds: &[Round]) -> Self {
        Self {
            flow_count,
            empty_ns: Spread::of(rounds, |round| round.empty_ns),
            strip_ns: Spread::of(rounds, Round::strip_ns),
            rival_ns: Spread::of(rounds, |round| round.net_ns(round.rival_ns)),
            ours_ns: Spread::of(rounds, |round| round.net_ns(round.ours_ns)),
            moved_ns: Spread::of(rounds, |round| round.net_ns(round.moved_ns)),
            ratio: Spread::of(rounds, |round| round.ratio(round.ours_ns)),
            ratio_moved: Spread::of(rounds, |round| round.ratio(round.moved_ns)),
        }
    }
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The table and the closing line.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} on Linux {}, CPU {}; rival: xdp_lb_bench of {}\n\
             ns of CPU time a packet; programs net of driver, empty program and strip\n\n\
             {:>7}  {:<20} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            self.scenario,
            self.kernel,
            self.cpu,
            self.rival_package,
            "flows",
            "program",
            "median",
            "25 %",
            "75 %",
            "min",
            "max"
        );
        for result in &self.results {
            let rows = [
                ("driver + empty", result.empty_ns, 1),
                ("strip", result.strip_ns, 1),
                ("xdp_lb_bench", result.rival_ns, 1),
                ("ours", result.ours_ns, 1),
                ("ours, moved", result.moved_ns, 1),
                ("ours / xdp_lb_bench", result.ratio, 2),
                ("moved / xdp_lb_bench", result.ratio_moved, 2),
            ];
            for (name, spread, digits) in rows {
                text += &row(result.flow_count, name, &spread, digits);
            }
        }
        let mut rival = " xdp_lb_bench";
        let mut ratios = Vec::new();
        for FlowResult { flow_count, ratio: Spread { median, .. }, .. } in &self.results {
            ratios.push(format!("{median:.2} x{rival} at {flow_count} flows"));
            rival = "";
        }
        let rounds_count = self.rounds_count;
        let ratios = ratios.join(", ");
        text + &format!("\nbench l4: tunnel tcp-v4 {ratios} ({rounds_count} rounds)")
    }
}

fn row(flow_count: u32, name: &str, spread: &Spread, digits: usize) -> String {
    let Spread { median, quarter_low, quarter_high, min, max } = spread;
    format!(
        "{flow_count:>7}  {name:<20} {median:>8.digits$} {quarter_low:>8.digits$} \
         {quarter_high:>8.digits$} {min:>8.digits$} {max:>8.digits$}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_has_its_fixed_form() {
        let rounds = |ours_ns| {
            [Round { empty_ns: 10.0, grow_ns: 10.0, rival_ns: 110.0, ours_ns, moved_ns: 110.0 }]
        };
        let report = Report {
            bench: "l4",
            scenario: "tunnel tcp-v4",
            kernel: "6.1".to_owned(),
            rival_package: "linux-source 7".to_owned(),
            cpu: 1,
            rounds_count: 1,
            results: vec![
                FlowResult::new(1000, &rounds(69.0)),
                FlowResult::new(100_000, &rounds(42.0)),
            ],
        };
        assert_eq!(
            report.text().lines().last(),
            Some(
                "bench l4: tunnel tcp-v4 0.59 x xdp_lb_bench at 1000 flows, \
                 0.32 x at 100000 flows (1 rounds)"
            )
        );
    }
}
