//! `lb-bench l7`: what a request costs the proxy, against those that operators would use instead.
//!
//! **The rivals** come from Debian (nginx, HAProxy) and PyPI (Envoy, Caddy, Traefik), each with the
//! configuration that its manual recommends for one core: keep-alive towards the backend, no
//! access log. Ours runs as it always does: routing, metrics and accounting on.
//!
//! **The method.** Every proxy is one process on one core, the last; the load generator (wrk,
//! h2load) and the origin (nginx) share another. In each round the proxies take turns, so that
//! what others take from the machine falls on all. The figure is the proxy's own CPU time, user and system, divided
//! by the requests that were answered: it does not depend on how fast the generator is. Requests
//! per second and latencies are the generator's, and those depend on the machine.
//!
//! **What is checked.** Before each round one response of each proxy, whole: status and body. In
//! each round every response must have succeeded.

mod idle;
mod latency;
mod load;
mod origin;
mod overload;
mod report;
mod resume;
mod scenario;
mod tls;
mod websocket;

pub use overload::Overload;
pub use report::Report;
pub use scenario::Scenario;

use origin::Origin;
use report::{Measured, Row};

use crate::rivals::{
    Ports, Proxy, Site, Speaks, package,
    process::{self, Process},
};

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// Rivals, in the order of the table.
pub const RIVALS: [&str; 5] = ["nginx", "haproxy", "envoy", "caddy", "traefik"];

/// How to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rounds of each scenario.
    pub rounds_count: u32,
    /// Each proxy is under load for so long in each round.
    pub load: Duration,
    /// What to measure.
    pub scenarios: Vec<Scenario>,
    /// Against whom.
    pub rivals: Vec<String>,
    /// Where to draw the result.
    pub svg: Option<PathBuf>,
}

/// Measures.
pub fn run(options: &Options) -> Result<Report> {
    let programs = package::install(&needed(&options.rivals))?;
    let work = tempfile::tempdir().context("cannot create a work folder")?;
    let cores = process::cores()?;
    process::raise_limit()?;
    let origin = Origin::start(&work.path().join("origin"), cores)?;
    let mut report = Report::new(options, cores);
    let set = Set { folder: work.path(), origin: &origin, programs: &programs, cores };
    for scenario in &options.scenarios {
        eprintln!("measuring {scenario}");
        // What the others found is not thrown away for one that cannot be measured.
        if let Err(error) = set.add(*scenario, options, &mut report) {
            eprintln!("{scenario}: {error:#}");
            report.failures.push(format!("{scenario}: {error:#}"));
        }
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, report.svg()).with_context(|| path.display().to_string())?;
    }
    Ok(report)
}

/// The generators, what makes certificates, the origin, and the rivals.
fn needed(rivals: &[String]) -> Vec<&str> {
    let always = ["wrk", "h2load", "openssl", "curl", "nginx"];
    always.into_iter().chain(rivals.iter().map(String::as_str)).collect()
}

/// What all proxies share.
struct Set<'a> {
    folder: &'a Path,
    origin: &'a Origin,
    programs: &'a package::Programs,
    cores: process::Cores,
}

impl Set<'_> {
    /// Measures a scenario.
    fn add(&self, scenario: Scenario, options: &Options, report: &mut Report) -> Result<()> {
        let proxies = Proxy::all(&options.rivals).into_iter().filter(|it| scenario.fits(*it));
        if scenario == Scenario::Overload {
            report.overload = self.overload(options)?;
        } else {
            report.rows.extend(self.measure(scenario, proxies, options)?);
        }
        Ok(())
    }

    /// Asks ours for more than it can do.
    fn overload(&self, options: &Options) -> Result<Vec<Overload>> {
        let running = Running::start(Proxy::Ours, Scenario::Overload, self)?;
        let run = |_| overload::run(running.address(), options.load, self.cores);
        (0..options.rounds_count).map(run).collect()
    }

    /// Measures the proxies, one after the other in each round.
    fn measure(
        &self,
        scenario: Scenario,
        proxies: impl Iterator<Item = Proxy>,
        options: &Options,
    ) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = proxies.map(|it| Row::new(scenario, it)).collect();
        let mut kept = Vec::new();
        if !scenario.is_idle() {
            for row in &rows {
                kept.push(Running::start(row.of, scenario, self)?);
            }
        }
        for _ in 0..options.rounds_count {
            for (index, row) in rows.iter_mut().enumerate() {
                // What a process allocated and freed before would hide what connections keep.
                let fresh = if scenario.is_idle() {
                    Some(Running::start(row.of, scenario, self)?)
                } else {
                    None
                };
                let running = fresh.as_ref().or_else(|| kept.get(index)).context("no proxy")?;
                let measured = running.measure(options.load, self.cores);
                let measured = measured.with_context(|| format!("{}, {scenario}", row.of))?;
                row.rounds.push(measured);
            }
        }
        Ok(rows)
    }
}

/// A proxy that serves a scenario.
struct Running {
    scenario: Scenario,
    ports: Ports,
    process: Process,
}

impl Running {
    fn start(proxy: Proxy, scenario: Scenario, set: &Set<'_>) -> Result<Self> {
        let Set { origin, programs, cores, .. } = *set;
        let folder = &set.folder.join(format!("{scenario}-{proxy}"));
        std::fs::create_dir_all(folder)?;
        let ports = Ports::free()?;
        let hosts_count = if scenario == Scenario::Routes { scenario::HOSTS } else { 0 };
        let speaks = scenario.speaks();
        let origin = match speaks {
            Speaks::Http1 => origin.port,
            Speaks::Grpc => origin.grpc_port,
            Speaks::WebSocket => websocket::origin(cores)?,
        };
        let compresses = scenario == Scenario::Overload;
        let site = Site { folder, ports, origin, speaks, hosts_count, compresses };
        let command = proxy.configure(&site, programs)?;
        let process = Process::on_core(&command, folder, cores.proxy)?;
        let running = Self { scenario, ports, process };
        running.prove().with_context(|| {
            format!("{proxy} does not serve {scenario}; it printed:\n{}", running.process.output())
        })?;
        Ok(running)
    }

    /// Waits until a whole response is right.
    fn prove(&self) -> Result<()> {
        let url = self.scenario.url(self.ports);
        let what = format!("{url} answers");
        crate::wait::eventually(Duration::from_mins(1), &what, || {
            if self.scenario == Scenario::WebSocket {
                return websocket::prove(self.address()).ok();
            }
            let body = load::fetch(self.scenario, &url).ok();
            body.filter(|body| *body == self.scenario.body()).map(drop)
        })
    }

    /// Where it listens.
    fn address(&self) -> SocketAddr {
        let is_secure = self.scenario.is_secure();
        let port = if is_secure { self.ports.https } else { self.ports.http };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn load(&self, duration: Duration, cores: process::Cores) -> Result<load::Load> {
        match self.scenario {
            Scenario::WebSocket => websocket::run(self.address(), duration, cores),
            Scenario::TlsResume => resume::run(self.address(), duration, cores),
            scenario => load::run(scenario, &scenario.url(self.ports), duration, cores),
        }
    }

    fn measure(&self, duration: Duration, cores: process::Cores) -> Result<Measured> {
        if self.scenario.is_idle() {
            return idle::measure(self.scenario, &self.process, self.ports);
        }
        // The first requests open connections and fault pages in; they are not measured.
        self.load(duration / 4, cores)?;
        let before = self.process.cpu()?;
        let load = self.load(duration, cores)?;
        let cpu = self.process.cpu()?.saturating_sub(before);
        ensure!(load.requests > 0, "no request was answered");
        ensure!(load.failures == 0, "{} of {} requests failed", load.failures, load.requests);
        Ok(Measured {
            cpu_us: cpu.as_secs_f64() * 1e6 / load.requests as f64,
            requests_per_s: load.requests as f64 / load.took.as_secs_f64(),
            p50_us: load.latency.p50_us,
            p99_us: load.latency.p99_us,
            p999_us: load.latency.p999_us,
            rss_bytes: self.process.rss_bytes()?,
        })
    }
}
