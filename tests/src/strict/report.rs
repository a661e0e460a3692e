//! What a run found, side by side.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::verdict::{Observation, Statuses, Verdict};
use crate::{
    http::probes::{Demand, Probe},
    http2::{
        cases::Case,
        probe::{Outcome, Report as CaseReport},
    },
};

/// Everything that a run found; its JSON form is stable.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Probes of HTTP/1.
    pub h1: Vec<H1Row>,
    /// Cases of HTTP/2 against ours.
    pub h2: Vec<H2Row>,
}

/// A probe and what came of it.
#[derive(Debug, Serialize)]
pub struct H1Row {
    /// Name.
    pub probe: &'static str,
    /// `Compliance`, `Smuggling` or `Malformed`.
    pub class: String,
    /// `must`, `may`, or `may, must close`.
    pub demand: &'static str,
    /// The section it comes from.
    pub source: &'static str,
    /// One entry a proxy, ours first.
    pub results: Vec<H1Result>,
}

/// What a proxy made of a probe.
#[derive(Debug, Serialize)]
pub struct H1Result {
    /// Name.
    pub proxy: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    #[serde(flatten)]
    pub observation: Observation,
}

/// A case and what came of it.
#[derive(Debug, Serialize)]
pub struct H2Row {
    /// List and section.
    pub section: &'static str,
    /// What it does.
    pub case: &'static str,
    /// Whether it ended as it has to.
    pub is_right: bool,
    /// What the server sent, if it did not.
    pub seen: Option<String>,
}

impl Report {
    /// Judges what each proxy (ours is called so) made of the probes.
    pub fn with_h1(mut self, probes: &[Probe], all: Vec<(&'static str, Vec<Observation>)>) -> Self {
        let mut rows: Vec<_> = probes.iter().map(H1Row::new).collect();
        for (proxy, observations) in all {
            let statuses = if proxy == "ours" { Statuses::First } else { Statuses::Any };
            for ((row, probe), observation) in rows.iter_mut().zip(probes).zip(observations) {
                let verdict = observation.judge(probe, statuses);
                row.results.push(H1Result { proxy, verdict, observation });
            }
        }
        self.h1 = rows;
        self
    }

    /// Adds the cases of HTTP/2.
    pub fn with_h2(mut self, cases: &[Case], reports: &[CaseReport]) -> Self {
        let row = |(case, report): (&Case, &CaseReport)| {
            let is_right = report.outcome != Outcome::Failed;
            let seen = (!is_right).then(|| format!("{:?}", report.seen));
            H2Row { section: case.section, case: case.name, is_right, seen }
        };
        self.h2 = cases.iter().zip(reports).map(row).collect();
        self
    }

    /// Whether ours made nothing else of anything than the tables say.
    pub fn is_ours_right(&self) -> bool {
        let mut results = self.h1.iter().flat_map(|row| &row.results);
        results.all(|it| it.proxy != "ours" || it.verdict == Verdict::Ok)
            && self.h2.iter().all(|row| row.is_right)
    }

    /// What ours did otherwise than the tables say; empty if nothing.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for row in &self.h1 {
            for it in &row.results {
                if it.proxy == "ours" && it.verdict != Verdict::Ok {
                    push(&mut text, format_args!("{}: {:?}", row.probe, it.observation));
                }
            }
        }
        for row in self.h2.iter().filter(|row| !row.is_right) {
            push(&mut text, format_args!("{} {}: {:?}", row.section, row.case, row.seen));
        }
        text
    }

    fn h1_table(&self) -> String {
        let mut text = String::new();
        let proxies = self.proxies();
        if proxies.is_empty() {
            return text;
        }
        let head = proxies.iter().map(|it| format!(" {it:<10}")).collect::<Vec<_>>().concat();
        let columns = format!("{:<30} {:<11} {:<16} {:<18}", "probe", "class", "demand", "source");
        push(&mut text, format_args!("{columns}{head}"));
        for row in &self.h1 {
            let cells: Vec<_> =
                row.results.iter().map(|it| format!(" {:<10}", it.cell())).collect();
            let cells = cells.concat();
            let H1Row { probe, class, demand, source, .. } = row;
            push(
                &mut text,
                format_args!("{probe:<30} {class:<11} {demand:<16} {source:<18}{cells}"),
            );
        }
        push(&mut text, format_args!(""));
        for row in &self.h1 {
            for it in row.results.iter().filter(|it| it.verdict == Verdict::Fail) {
                push(&mut text, format_args!("{} {}: {}", it.proxy, row.probe, it.why()));
            }
        }
        text
    }

    fn h2_table(&self) -> String {
        let mut text = String::new();
        for H2Row { section, case, is_right, seen } in &self.h2 {
            let verdict = if *is_right { "ok" } else { "FAIL" };
            let seen = seen.as_deref().unwrap_or_default();
            push(&mut text, format_args!("{section:<16} {case:<60} {verdict} {seen}"));
        }
        text
    }

    fn h1_closing(&self) -> String {
        let proxies = self.proxies();
        if proxies.is_empty() {
            return String::new();
        }
        let total = self.h1.len();
        let count = |proxy: &str, is_counted: fn(Verdict) -> bool| {
            let results = self.h1.iter().flat_map(|row| &row.results);
            results.filter(|it| it.proxy == proxy && is_counted(it.verdict)).count()
        };
        let lenient = |proxy| count(proxy, |it| it == Verdict::Lenient);
        let tally = |proxy| format!("{proxy} {}", lenient(proxy));
        let all: Vec<_> = proxies.iter().map(|it| tally(it)).collect();
        let mut text = String::new();
        push(&mut text, format_args!("lenient where it is allowed: {}", all.join(", ")));
        let tally = |proxy: &str| {
            // Ours has to do exactly what the table says; of others what is allowed counts, too.
            let passed = match proxy {
                "ours" => count(proxy, |it| it == Verdict::Ok),
                other => count(other, |it| it != Verdict::Fail),
            };
            format!("{proxy} {passed}/{total}")
        };
        let all: Vec<_> = proxies.iter().map(|it| tally(it)).collect();
        push(&mut text, format_args!("strict h1: {}", all.join(", ")));
        text
    }

    fn h2_closing(&self) -> String {
        if self.h2.is_empty() {
            return String::new();
        }
        let right = self.h2.iter().filter(|row| row.is_right).count();
        format!("strict h2: ours {right}/{}\n", self.h2.len())
    }

    fn proxies(&self) -> Vec<&'static str> {
        let first = self.h1.first();
        first.map(|row| row.results.iter().map(|it| it.proxy).collect()).unwrap_or_default()
    }
}

/// The tables, then the closing lines.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = [self.h1_table(), self.h2_table()].concat();
        let closing = [self.h1_closing(), self.h2_closing()].concat();
        write!(f, "{tables}{}", closing.trim_end())
    }
}

impl H1Row {
    fn new(probe: &Probe) -> Self {
        let demand = match probe.demand {
            Demand::Must => "must",
            Demand::May => "may",
            Demand::MustClose => "may, must close",
        };
        let class = format!("{:?}", probe.class);
        Self { probe: probe.name, class, demand, source: probe.source, results: Vec::new() }
    }
}

impl H1Result {
    const fn cell(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Lenient => "lenient",
            Verdict::Fail => "FAIL",
        }
    }

    fn why(&self) -> String {
        let Observation { statuses, requests, took_last, is_ended, harm } = &self.observation;
        let last = if *took_last { ", took another" } else { "" };
        let end = if *is_ended { "" } else { ", left open" };
        let harm = harm.as_deref().map(|it| format!("; {it}")).unwrap_or_default();
        format!("answered {statuses:?}, {requests} at the origin{last}{end}{harm}")
    }
}

fn push(text: &mut String, line: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").ok();
}
