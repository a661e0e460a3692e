//! `lb-strict`: how exactly proxies take HTTP, over real sockets.
//!
//! **HTTP/1.** Every probe of the table goes over a connection of its own to ours, nginx, HAProxy and
//! Envoy, each before a strict origin of its own that tells what it saw. Behind each probe comes a
//! request that is answered only if the connection takes another one, and after it another client's,
//! which has to get its own answer. A rival passes a probe whose source leaves a choice also by
//! another behaviour, if nobody could be confused: whatever it refused never arrived, whatever
//! arrived was answered, and was well formed. Ours passes only by what the table says.
//!
//! **HTTP/2.** Every case goes to ours.

mod args;
pub mod h1;
pub mod h2;
mod report;
mod verdict;

pub use report::Report;
pub use verdict::{Observation, Statuses, Verdict};

use std::{
    fmt, fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use args::{Format, Request};
use serde::Serialize;

use crate::{
    desync,
    http::{
        origin::Origin,
        probes::{self, Probe},
    },
    http2::cases,
    ours::Ours,
    rivals::{Ports, Proxy, Site, Speaks, package, process::Process},
    wait::eventually,
};

/// Who takes part beside ours, in the order of the table.
pub const RIVALS: [&str; 3] = ["nginx", "haproxy", "envoy"];

/// A rival must listen within this time.
const START_LIMIT: Duration = Duration::from_mins(1);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who takes part; `ours` among them or not.
    pub proxies: Vec<String>,
    /// Only probes and cases whose name contains this.
    pub filter: Option<String>,
}

/// Runs what the command line asks for; fails if ours does anything wrong.
pub fn main(words: impl IntoIterator<Item = String>) -> ExitCode {
    match Request::parse(words).and_then(|request| answer(&request)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lb-strict: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer(request: &Request) -> Result<bool> {
    match request {
        Request::Help => {
            print!("{}", args::USAGE);
            Ok(true)
        }
        Request::Run { options, format } => {
            let report = run(options)?;
            println!("{}", said(&report, *format)?);
            Ok(report.is_ours_right())
        }
        Request::Desync { options, format } => {
            let report = desync::run(options)?;
            println!("{}", said(&report, *format)?);
            Ok(report.disagreements_count() == 0)
        }
    }
}

fn said<T: Serialize + fmt::Display>(report: &T, format: Format) -> Result<String> {
    Ok(match format {
        Format::Text => report.to_string(),
        Format::Json => serde_json::to_string_pretty(report)?,
    })
}

/// Asks everyone everything.
pub fn run(options: &Options) -> Result<Report> {
    let is_asked = |name: &str| options.filter.as_deref().is_none_or(|it| name.contains(it));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let work = tempfile::tempdir().context("make a folder")?;
    let contestants = contestants(&options.proxies, work.path())?;
    let mut probes = probes::all();
    probes.retain(|it| is_asked(it.name));
    let mut cases = cases::all();
    cases.retain(|it| is_asked(it.name));
    runtime.block_on(async {
        let ours = contestants.iter().find(|it| it.name == "ours").map(|it| it.address);
        let reports = match ours {
            Some(address) => h2::run(&cases, address).await?,
            None => Vec::new(),
        };
        let observations = ask_all(&probes, contestants).await?;
        Ok(Report::default().with_h1(&probes, observations).with_h2(&cases, &reports))
    })
}

/// All probes and cases against ours alone; nothing is installed.
pub fn ours() -> Result<Report> {
    run(&Options { proxies: vec!["ours".to_owned()], filter: None })
}

/// A proxy that runs, before an origin of its own.
struct Contestant {
    name: &'static str,
    address: SocketAddr,
    origin: Origin,
    _running: Running,
}

/// What ends when it is dropped.
enum Running {
    Ours(#[expect(dead_code, reason = "held")] Ours),
    Rival(#[expect(dead_code, reason = "held")] Process),
}

/// Starts those who take part, ours first.
fn contestants(names: &[String], work: &Path) -> Result<Vec<Contestant>> {
    let mut contestants = Vec::new();
    let is_wanted = |name: &str| names.iter().any(|it| it == name);
    if is_wanted("ours") {
        let origin = Origin::start()?;
        let ours = Ours::start(&[origin.port], "")?;
        let address = ours.address;
        contestants.push(Contestant {
            name: "ours",
            address,
            origin,
            _running: Running::Ours(ours),
        });
    }
    let rivals: Vec<_> = RIVALS.into_iter().filter(|it| is_wanted(it)).collect();
    if rivals.is_empty() {
        return Ok(contestants);
    }
    let programs = package::install(&[&*rivals, &["openssl"]].concat())?;
    for proxy in Proxy::all(&rivals.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()) {
        if proxy != Proxy::Ours {
            contestants.push(rival(proxy, work, &programs)?);
        }
    }
    Ok(contestants)
}

fn rival(proxy: Proxy, work: &Path, programs: &package::Programs) -> Result<Contestant> {
    let folder = work.join(proxy.name());
    fs::create_dir(&folder)?;
    let origin = Origin::start()?;
    let ports = Ports::free()?;
    let site = Site {
        folder: &folder,
        ports,
        origin: origin.port,
        speaks: Speaks::Http1,
        hosts_count: 0,
        compresses: false,
    };
    let process = Process::start(&mut proxy.configure(&site, programs)?, &folder)?;
    let address = SocketAddr::from(([127, 0, 0, 1], ports.http));
    eventually(START_LIMIT, "it listens", || TcpStream::connect(address).ok())
        .with_context(|| format!("{proxy} printed:\n{}", process.output()))?;
    let running = Running::Rival(process);
    Ok(Contestant { name: proxy.name(), address, origin, _running: running })
}

/// All at once, each one probe after the other.
async fn ask_all(
    probes: &[Probe],
    contestants: Vec<Contestant>,
) -> Result<Vec<(&'static str, Vec<Observation>)>> {
    let mut tasks = Vec::new();
    for contestant in contestants {
        let probes = probes.to_vec();
        tasks.push(tokio::spawn(async move {
            let Contestant { name, address, origin, .. } = &contestant;
            let observations = h1::run(&probes, *address, origin).await;
            observations.map(|it| (*name, it)).context(*name)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.context("a task")??);
    }
    Ok(all)
}
