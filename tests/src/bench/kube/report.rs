//! How the result is printed.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::Options;

/// Everything a run found; its JSON form is stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `kube`.
    pub bench: &'static str,
    /// How fast changes are served.
    pub propagation: Propagation,
    /// How fast much is loaded.
    pub load: Load,
}

/// How fast changes are served.
#[derive(Clone, Debug, Serialize)]
pub struct Propagation {
    /// With one route, nothing else going on.
    pub idle: Times,
    /// Of that, until the API server has answered the write.
    pub idle_write: Times,
    /// Routes of the churn.
    pub routes_count: u32,
    /// Among them, under churn.
    pub churn: Times,
    /// Of that, until the API server has answered the write.
    pub churn_write: Times,
    /// Changes a second, beside those that are measured.
    pub changes_per_s: f64,
    /// Requests of the steady client meanwhile.
    pub requests_count: u64,
    /// Those of them that were not answered with 200.
    pub errors_count: u64,
    /// Most resident memory of `lbd` meanwhile, bytes.
    pub rss_bytes: u64,
    /// CPU of `lbd` meanwhile, in cores.
    pub cpu_cores: f64,
}

/// How fast much is loaded.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Listeners.
    pub listeners_count: u32,
    /// Routes.
    pub routes_count: u32,
    /// From the start of `lbd` until all Gateways serve, milliseconds.
    pub served_ms: f64,
    /// From there until all `attachedRoutes` are right, milliseconds.
    pub status_ms: f64,
    /// Writes to routes, that is, of their status, for each route.
    pub status_writes_per_route: f64,
    /// Resident memory then, bytes.
    pub rss_bytes: u64,
}

/// A distribution of times, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name")]
pub struct Times {
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Times {
    /// Of measured times; all zero without any.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let last = times.len().saturating_sub(1);
        let at = |part: usize| {
            let time = times.get((last * part).div_ceil(100)).copied().unwrap_or_default();
            milliseconds(time)
        };
        Self { p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

impl Report {
    pub(super) fn new(_: &Options, propagation: Propagation, load: Load) -> Self {
        Self { bench: "kube", propagation, load }
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The table and the closing line.
    pub fn text(&self) -> String {
        let Self { propagation: it, load, .. } = self;
        let mut text = format!("{:<34} {:>9} {:>9} {:>9}\n", "milliseconds", "p50", "p99", "max");
        for (name, times) in [
            ("apply -> first 200, idle", it.idle),
            ("  of it the API server's write", it.idle_write),
            ("apply -> first 200, under churn", it.churn),
            ("  of it the API server's write", it.churn_write),
        ] {
            let Times { p50_ms, p99_ms, max_ms } = times;
            // Writing to a string cannot fail.
            writeln!(text, "{name:<34} {p50_ms:>9.1} {p99_ms:>9.1} {max_ms:>9.1}").ok();
        }
        let (churn_rss, load_rss) = (mebibytes(it.rss_bytes), mebibytes(load.rss_bytes));
        write!(
            text,
            "\nchurn: {} routes, {:.0} changes/s, {} requests, {} errors, {churn_rss:.0} MiB, {:.2} \
             cores\nload: {} routes in {} listeners: served after {:.1} s, attachedRoutes right {:.1} s \
             later, {:.2} status writes per route, {load_rss:.0} MiB\n\nbench kube: propagation p50 \
             {:.1} ms p99 {:.1} ms under churn, {} errors, RSS {churn_rss:.0} MiB",
            it.routes_count,
            it.changes_per_s,
            it.requests_count,
            it.errors_count,
            it.cpu_cores,
            load.routes_count,
            load.listeners_count,
            load.served_ms / 1_000.0,
            load.status_ms / 1_000.0,
            load.status_writes_per_route,
            it.churn.p50_ms,
            it.churn.p99_ms,
            it.errors_count,
        )
        .ok();
        text
    }
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(
            (times.p50_ms.round(), times.p99_ms.round(), times.max_ms),
            (101.0, 199.0, 200.0)
        );
        assert!(Times::of(Vec::new()).max_ms < f64::EPSILON);
    }
}
