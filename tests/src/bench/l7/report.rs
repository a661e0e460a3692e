//! How the result is printed.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::{Options, Overload, Scenario};
use crate::{
    bench::spread::Spread,
    rivals::{Proxy, process::Cores},
};

/// Everything a run found; its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `l7`.
    pub bench: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// The proxy's core.
    pub core: usize,
    /// Rounds of each scenario.
    pub rounds_count: u32,
    /// One entry a scenario and proxy.
    pub rows: Vec<Row>,
    /// What came of too many requests, each round.
    pub overload: Vec<Overload>,
    /// Scenarios that could not be measured, and why.
    pub failures: Vec<String>,
}

/// What one proxy did in one scenario.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose row it is.
    #[serde(skip)]
    pub(super) of: Proxy,
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Name of the proxy; `ours` is ours.
    pub proxy: &'static str,
    /// Each round.
    pub rounds: Vec<Measured>,
}

/// One round.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    /// CPU time of the proxy per request, microseconds, user and system.
    pub cpu_us: f64,
    /// Requests per second.
    pub requests_per_s: f64,
    /// Latency, median, microseconds.
    pub p50_us: f64,
    /// Latency, 99th percentile.
    pub p99_us: f64,
    /// Latency, 99.9th percentile.
    pub p999_us: f64,
    /// Resident memory; in the idle scenario what a connection keeps of it. Bytes.
    pub rss_bytes: u64,
}

impl Row {
    /// No rounds yet.
    pub(super) fn new(scenario: Scenario, proxy: Proxy) -> Self {
        Self { of: proxy, scenario: scenario.name(), proxy: proxy.name(), rounds: Vec::new() }
    }

    fn spread(&self, value: impl Fn(&Measured) -> f64) -> Spread {
        Spread::of(&self.rounds, value)
    }
}

impl Report {
    /// No rows yet.
    pub(super) fn new(options: &Options, cores: Cores) -> Self {
        Self {
            bench: "l7",
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            core: cores.proxy,
            rounds_count: options.rounds_count,
            rows: Vec::new(),
            overload: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The table and the closing line.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Linux {}, the proxy on core {}; medians of {} rounds\n\n{:<14} {:<8} {:>9} {:>7} \
             {:>10} {:>8} {:>8} {:>8} {:>10}\n",
            self.kernel,
            self.core,
            self.rounds_count,
            "scenario",
            "proxy",
            "CPU us",
            "ours/it",
            "requests/s",
            "p50 us",
            "p99 us",
            "p999 us",
            "RSS KiB"
        );
        for row in &self.rows {
            let median = |value: fn(&Measured) -> f64| row.spread(value).median;
            let ratio = self.ratio(row).map(|it| format!("{it:.2}")).unwrap_or_default();
            // What was not measured is left empty.
            let cell = |value: f64, digits: usize| {
                if value > 0.0 { format!("{value:.digits$}") } else { String::new() }
            };
            let line = writeln!(
                text,
                "{:<14} {:<8} {:>9} {ratio:>7} {:>10} {:>8} {:>8} {:>8} {:>10}",
                row.scenario,
                row.proxy,
                cell(median(|it| it.cpu_us), 2),
                cell(median(|it| it.requests_per_s), 0),
                cell(median(|it| it.p50_us), 0),
                cell(median(|it| it.p99_us), 0),
                cell(median(|it| it.p999_us), 0),
                cell(median(|it| it.rss_bytes as f64) / 1_024.0, 1),
            );
            // Writing to a string does not fail.
            line.ok();
        }
        text + "\n" + &self.overloaded() + &self.closing()
    }

    /// A line about too many requests, if they were asked for.
    fn overloaded(&self) -> String {
        let median = |value: fn(&Overload) -> f64| Spread::of(&self.overload, value).median;
        if self.overload.is_empty() {
            return String::new();
        }
        format!(
            "overload {:.1} x: {:.0} % of the peak of {:.0} requests/s served (p50 {:.0} ms, p99 \
             {:.0} ms), {:.0}/s refused with 503 (p50 {:.0} ms, p99 {:.0} ms)\n",
            median(|it| it.offered_per_s / it.peak_per_s),
            median(|it| it.served_per_s / it.peak_per_s * 100.0),
            median(|it| it.peak_per_s),
            median(|it| it.served_p50_us / 1e3),
            median(|it| it.served_p99_us / 1e3),
            median(|it| it.refused_per_s),
            median(|it| it.refused_p50_us / 1e3),
            median(|it| it.refused_p99_us / 1e3),
        )
    }

    /// Ours divided by this row, round by round: CPU time, or memory in the idle scenario.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let ours = self.rows.iter().find(|it| it.scenario == row.scenario && it.proxy == "ours")?;
        let cost = |it: &Measured| if it.cpu_us > 0.0 { it.cpu_us } else { it.rss_bytes as f64 };
        let pairs: Vec<_> = ours.rounds.iter().zip(&row.rounds).collect();
        Some(Spread::of(&pairs, |(ours, other)| cost(ours) / cost(other)).median)
    }

    fn closing(&self) -> String {
        let small = Scenario::H1Small.name();
        let rows = self.rows.iter().filter(|row| row.scenario == small && row.proxy != "ours");
        let ratios: Vec<_> = rows
            .filter(|row| matches!(row.proxy, "nginx" | "haproxy" | "envoy"))
            .filter_map(|row| Some(format!("{:.2} x {}", self.ratio(row)?, row.proxy)))
            .collect();
        let rounds_count = self.rounds_count;
        format!(
            "bench l7: h1 keep-alive {} (CPU per request, {rounds_count} rounds)",
            ratios.join(", ")
        )
    }

    /// Bars of CPU time per request, one group a scenario.
    pub fn svg(&self) -> String {
        let most = |scenario: &str| {
            let rows = self.rows.iter().filter(|row| row.scenario == scenario);
            rows.map(|row| row.spread(|it| it.cpu_us).median).fold(f64::MIN_POSITIVE, f64::max)
        };
        let rows: Vec<_> =
            self.rows.iter().filter(|row| row.spread(|it| it.cpu_us).median > 0.0).collect();
        let height = 24 + rows.len() * 18;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<text x=\"8\" y=\"14\">CPU \
             microseconds per request (bars: share of the scenario's highest)</text>\n"
        );
        for (index, row) in rows.iter().enumerate() {
            let us = row.spread(|it| it.cpu_us).median;
            let y = 24 + index * 18;
            let width = 420.0 * us / most(row.scenario);
            let colour = if row.proxy == "ours" { "#2a6f97" } else { "#adb5bd" };
            let drawn = writeln!(
                svg,
                "<text x=\"8\" y=\"{}\">{} {}</text><rect x=\"180\" y=\"{y}\" width=\"{width:.1}\" \
                 height=\"14\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{us:.1}</text>",
                y + 12,
                row.scenario,
                row.proxy,
                188.0 + width,
                y + 12
            );
            // Writing to a string does not fail.
            drawn.ok();
        }
        svg + "</svg>\n"
    }
}
