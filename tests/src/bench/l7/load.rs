//! Load: wrk for HTTP/1.1, h2load for HTTP/2.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    latency::Latency,
    scenario::{Scenario, message},
};
use crate::rivals::process::{Cores, on_core};

/// Connections at once.
const CONNECTIONS: u32 = 32;

/// HTTP/2 connections, and streams at once on each.
const H2_CONNECTIONS: u32 = 4;
const H2_STREAMS: u32 = 8;

/// What the generator saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Requests that were answered.
    pub requests: u64,
    /// Requests that were not, or not with 200.
    pub failures: u64,
    /// How long it took.
    pub took: Duration,
    /// How long requests took.
    pub latency: Latency,
}

/// Prints what wrk found as numbers, one a line.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"#;

/// Puts load on `url` for so long.
pub(super) fn run(scenario: Scenario, url: &str, duration: Duration, cores: Cores) -> Result<Load> {
    if scenario.is_http2() {
        return h2load(scenario, url, duration, cores);
    }
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("report.lua");
    fs::write(&script, SCRIPT)?;
    let mut wrk = Command::new("wrk");
    // wrk knows whole seconds only.
    let seconds = duration.as_secs().max(1);
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--timeout", "10s"])
        .arg("-s")
        .arg(&script)
        .args(["-H", &format!("Host: {}", scenario.host())]);
    if scenario.connects() {
        wrk.args(["-H", "Connection: close"]);
    }
    let text = output(wrk.arg(url), cores)?;
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<u64> = line
        .with_context(|| format!("wrk printed:\n{text}"))?
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [requests, failures, took_us, p50, p99, p999] = numbers[..] else {
        anyhow::bail!("wrk printed:\n{text}");
    };
    Ok(Load {
        requests,
        failures,
        took: Duration::from_micros(took_us),
        latency: Latency { p50_us: p50 as f64, p99_us: p99 as f64, p999_us: p999 as f64 },
    })
}

fn h2load(scenario: Scenario, url: &str, duration: Duration, cores: Cores) -> Result<Load> {
    let mut h2load = Command::new("h2load");
    let seconds = duration.as_secs().max(1);
    h2load.args(["-t1", &format!("-c{H2_CONNECTIONS}"), &format!("-m{H2_STREAMS}")]);
    h2load.args(["-D", &seconds.to_string(), "-H", &format!(":authority: {}", scenario.host())]);
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    h2load.arg("--log-file").arg(&log);
    if scenario == Scenario::Grpc {
        let file = folder.path().join("message");
        fs::write(&file, message())?;
        h2load.arg("-d").arg(file);
        h2load.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    }
    let text = output(h2load.arg(url), cores)?;
    let counts = text
        .lines()
        .find_map(|line| line.strip_prefix("requests: "))
        .with_context(|| format!("h2load printed:\n{text}"))?;
    let count = |what: &str| {
        let part = counts.split(", ").find_map(|it| it.strip_suffix(what));
        part.and_then(|it| it.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(Load {
        requests: count(" succeeded"),
        failures: count(" failed") + count(" errored") + count(" timeout"),
        took: Duration::from_secs(seconds),
        latency: latency(&log)?,
    })
}

/// h2load's log has a line a request: when it began, its status, and how long it took, microseconds.
fn latency(log: &Path) -> Result<Latency> {
    let text = fs::read_to_string(log)?;
    let time = |line: &str| line.split('\t').nth(2)?.parse().ok().map(Duration::from_micros);
    Ok(Latency::of(text.lines().filter_map(time).collect()))
}

fn output(command: &Command, cores: Cores) -> Result<String> {
    let output = on_core(command, cores.others).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{text}{complaint}",
        output.status
    );
    Ok(text)
}

/// One response's body.
pub(super) fn fetch(scenario: Scenario, url: &str) -> Result<Vec<u8>> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--insecure", "--max-time", "2"]);
    curl.args(["-H", &format!("Host: {}", scenario.host())]);
    curl.arg(if scenario.is_http2() { "--http2" } else { "--http1.1" });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("message");
    fs::write(&file, message())?;
    if scenario == Scenario::Grpc {
        curl.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
        curl.arg("--data-binary").arg(format!("@{}", file.display()));
        // curl shows no trailers.
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["-nv", "-H", "content-type: application/grpc", "-H", "te: trailers"]);
        let frames = nghttp.arg("-d").arg(&file).arg(url).output()?.stdout;
        let has_status = String::from_utf8_lossy(&frames).contains("grpc-status: 0");
        ensure!(has_status, "no trailer");
    }
    let output = curl.arg(url).output()?;
    ensure!(output.status.success(), "curl ended with {}", output.status);
    Ok(output.stdout)
}
