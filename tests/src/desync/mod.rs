//! Whether ours and what stands behind it can be brought to disagree about where requests end.
//!
//! Streams of bytes that are nearly HTTP/1 go through ours to real origins. A tap before each origin
//! reads strictly what ours sent, and holds against it what the origin answered: as many responses
//! as requests, in their order, each telling method, target and body as they were sent. A client must
//! never get an answer to another client's request.

mod echo;
mod origin;
mod stream;
mod tap;

use std::{fmt, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    bench::command,
    http::client::{Said, exchange, responses},
    ours::Ours,
    port::Port,
    wait::eventually,
};
use origin::{Kind, Origin};
use stream::Streams;
use tap::{Tally, Tap};

/// Clients at once of each origin.
const CLIENTS: u64 = 16;
/// A client to whom nothing was said for so long has sent something incomplete, and ends.
const SILENCE: Duration = Duration::from_millis(250);
/// Ours then ends the connection within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ours gives its connections up within this time.
const END_LIMIT: Duration = Duration::from_mins(1);
/// Faults of clients that are kept; more say nothing new.
const KEPT_MAX: usize = 20;

/// How to look for disagreements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Streams in all.
    pub streams_count: u64,
    /// What the streams are made from.
    pub seed: u64,
    /// Whether origins that are missing are installed.
    pub installs: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One entry an origin.
    pub origins: Vec<OriginReport>,
    /// Origins that are not on this machine.
    pub missing: Vec<&'static str>,
}

/// What was found with an origin.
#[derive(Debug, Default, Serialize)]
pub struct OriginReport {
    /// Name.
    pub origin: &'static str,
    /// Streams that went to ours.
    pub streams: u64,
    /// Requests that ours sent on.
    pub requests: u64,
    /// Responses of the origin.
    pub responses: u64,
    /// Of these, those by which it refused a request.
    pub refusals: u64,
    /// Complete requests whose response ours did not wait for, because its client was gone.
    pub abandoned: u64,
    /// What ours and the origin saw differently, and what a client got that was not its own.
    pub disagreements: Vec<String>,
}

/// Sends the streams.
pub fn run(options: &Options) -> Result<Report> {
    if options.installs {
        install()?;
    }
    let work = tempfile::tempdir().context("make a folder")?;
    let kinds = Kind::ALL.into_iter().filter(|it| it.is_there());
    let origins = kinds.map(|it| it.start(work.path())).collect::<Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = runtime.block_on(all(&origins, options))?;
    report.missing = Kind::ALL.iter().filter(|it| !it.is_there()).map(|it| it.name()).collect();
    Ok(report)
}

fn install() -> Result<()> {
    let programs = Kind::ALL.iter().filter(|it| !it.is_there()).filter_map(|it| it.program());
    let packages: Vec<_> = programs.map(|(_, package)| package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    command::run(Command::new("apt-get").args(["-qq", "update"]), "read the package lists")?;
    let mut install = Command::new("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends"]).args(packages);
    command::run(&mut install, "install the origins")
}

/// Each origin's share, all at once.
async fn all(origins: &[Origin], options: &Options) -> Result<Report> {
    let mut lanes = Vec::new();
    for origin in origins {
        let tap = Tap::open(origin.port, origin.kind.echo()).await?;
        lanes.push(Lane { kind: origin.kind, tap, port: Port::reserve()? });
    }
    let addresses: Vec<_> = lanes.iter().map(|it| it.port.address()).collect();
    let ours = Ours::with_configuration(&addresses, &configuration(&lanes))?;
    let streams = Arc::new(Streams::new(options.seed));
    let mut clients = Vec::new();
    let step = lanes.len() as u64 * CLIENTS;
    for (lane, to) in addresses.iter().enumerate() {
        for client in 0..CLIENTS {
            let begin = lane as u64 * CLIENTS + client;
            let numbers = (begin..options.streams_count).step_by(step as usize);
            clients.push((lane, tokio::spawn(send(Arc::clone(&streams), numbers, *to))));
        }
    }
    let mut report = Report::default();
    let mut sent: Vec<(u64, Vec<String>)> = vec![<_>::default(); lanes.len()];
    for (lane, client) in clients {
        let (count, faults) = client.await.context("a client")??;
        if let Some(it) = sent.get_mut(lane) {
            it.0 += count;
            it.1.extend(faults);
        }
    }
    drop(ours);
    let is_done = || lanes.iter().all(|it| it.tap.open_count() == 0).then_some(());
    tokio::task::block_in_place(|| eventually(END_LIMIT, "all connections end", is_done))?;
    for (lane, (streams, faults)) in lanes.iter().zip(sent) {
        report.origins.push(OriginReport::new(lane.kind, streams, lane.tap.tally(), faults));
    }
    Ok(report)
}

/// An origin, the tap before it, and the port of ours that leads there.
struct Lane {
    kind: Kind,
    tap: Tap,
    port: Port,
}

fn configuration(lanes: &[Lane]) -> String {
    let section = |title: &str, line: &dyn Fn(&Lane) -> String| {
        let lines: String = lanes.iter().map(|it| ["  - { ", &line(it), " }\n"].concat()).collect();
        format!("{title}:\n{lines}")
    };
    let listeners = |it: &Lane| {
        let (name, address) = (it.kind.name(), it.port.address());
        format!("name: {name}, binds: [\"{address}\"], protocol: http")
    };
    let upstreams = |it: &Lane| {
        let (name, port) = (it.kind.name(), it.tap.port);
        format!("name: {name}, endpoints: [\"127.0.0.1:{port}\"], outlier: none")
    };
    let routes = |it: &Lane| {
        let name = it.kind.name();
        format!("name: {name}, listeners: [{name}], rules: [{{ backends: [{name}] }}]")
    };
    [
        "proxy: { workers: 1 }\n".to_owned(),
        section("listeners", &listeners),
        section("upstreams", &upstreams),
        section("routes", &routes),
    ]
    .concat()
}

/// Sends these streams one after another; how many, and what is wrong with the answers.
async fn send(
    streams: Arc<Streams>,
    numbers: impl Iterator<Item = u64>,
    to: SocketAddr,
) -> Result<(u64, Vec<String>)> {
    let mut sent = 0;
    let mut faults = Vec::new();
    for number in numbers {
        let bytes = streams.stream(number);
        let said = Said { bytes: &bytes, end_after: SILENCE, patience: PATIENCE };
        // Many addresses, so that no port has to be used again too soon.
        let from = [127, 0, 1, (number % 250) as u8 + 1];
        let answer = exchange(from, to, said).await?;
        sent += 1;
        let fault = fault(&bytes, &answer.bytes, answer.is_ended);
        if let Some(what) = fault.filter(|_| faults.len() < KEPT_MAX) {
            faults.push(format!("{what}; stream {number}: {:?}", String::from_utf8_lossy(&bytes)));
        }
    }
    Ok((sent, faults))
}

/// What is wrong with the answer to a stream.
fn fault(stream: &[u8], answer: &[u8], is_ended: bool) -> Option<String> {
    if !is_ended {
        return Some("ours did not end the connection".to_owned());
    }
    let text = String::from_utf8_lossy(answer);
    let stream = String::from_utf8_lossy(stream);
    // A target that may have been made normal is not found again.
    let may_change = stream.contains('%') || stream.contains("/.");
    let is_astray = |it: &str| {
        let target = it.split(' ').nth(1).unwrap_or_default().trim_end();
        target.starts_with("/stream") && !may_change && !stream.contains(target)
    };
    let responses = responses(answer);
    if let Some(what) = responses.rest {
        return Some(format!("ours sent {what}: {text:?}"));
    }
    let bodies = responses.complete.iter().map(|it| String::from_utf8_lossy(&it.body));
    let astray = bodies.into_iter().find(|it| is_astray(it))?;
    Some(format!("another client's answer: {astray:?}"))
}

impl OriginReport {
    fn new(kind: Kind, streams: u64, tally: Tally, faults: Vec<String>) -> Self {
        let Tally { requests, responses, refusals, abandoned, mut disagreements } = tally;
        disagreements.extend(faults);
        Self {
            origin: kind.name(),
            streams,
            requests,
            responses,
            refusals,
            abandoned,
            disagreements,
        }
    }
}

impl Report {
    /// Disagreements with all origins.
    pub fn disagreements_count(&self) -> usize {
        self.origins.iter().map(|it| it.disagreements.len()).sum()
    }

    /// Streams to all origins.
    pub fn streams_count(&self) -> u64 {
        self.origins.iter().map(|it| it.streams).sum()
    }

    /// Requests that ours sent on to all origins.
    pub fn requests_count(&self) -> u64 {
        self.origins.iter().map(|it| it.requests).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for it in &self.origins {
            writeln!(
                f,
                "{:<8} {} streams, {} requests sent on, {} responses ({} refusals), {} abandoned, {} \
                 disagreements",
                it.origin,
                it.streams,
                it.requests,
                it.responses,
                it.refusals,
                it.abandoned,
                it.disagreements.len()
            )?;
            for what in &it.disagreements {
                writeln!(f, "  {what}")?;
            }
        }
        if !self.missing.is_empty() {
            writeln!(f, "not on this machine: {}", self.missing.join(", "))?;
        }
        let (streams, faults) = (self.streams_count(), self.disagreements_count());
        write!(
            f,
            "desync: {faults} disagreements in {streams} streams, {} origins",
            self.origins.len()
        )
    }
}
