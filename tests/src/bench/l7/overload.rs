//! Three times as many requests as the proxy's core can serve: bodies that it compresses, so that a
//! request costs the proxy far more than the generator, asked for at a fixed rate whatever comes back.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    latency::Latency,
    scenario::Scenario,
    websocket::{LIMIT, stay_on},
};
use crate::rivals::process::Cores;

/// Connections that find out what the proxy can do: each asks when it was answered. Enough to keep
/// it busy, too few to wait for each other as long as it takes for an overload.
const PEAK_CONNECTIONS: u32 = 8;
/// Connections that ask for more, each at its own times.
const CONNECTIONS: u32 = 2_000;
/// So much more.
pub(super) const FACTOR: f64 = 3.0;
/// The proxy may take so long until it refuses as much as it has to.
const SETTLING: Duration = Duration::from_secs(2);

/// What came of it in a round.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Overload {
    /// Requests a second that the proxy serves if it is not asked for more.
    pub peak_per_s: f64,
    /// Requests a second that it was asked for.
    pub offered_per_s: f64,
    /// Requests a second that it served of them.
    pub served_per_s: f64,
    /// Requests a second that it refused, with 503 and `Retry-After`.
    pub refused_per_s: f64,
    /// How long served ones took, median, microseconds.
    pub served_p50_us: f64,
    /// 99th percentile.
    pub served_p99_us: f64,
    /// How long refused ones took, median, microseconds.
    pub refused_p50_us: f64,
    /// 99th percentile.
    pub refused_p99_us: f64,
}

/// Answers, and how long they took.
#[derive(Default)]
struct Seen {
    served: Vec<Duration>,
    refused: Vec<Duration>,
}

/// Finds out what the proxy at `address` can do, and asks for more; each for so long.
pub(super) fn run(address: SocketAddr, duration: Duration, cores: Cores) -> Result<Overload> {
    let run = move || {
        stay_on(cores.others)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(address, duration))
    };
    // A thread of its own, so that this one may go on where it likes.
    thread::spawn(run).join().map_err(|_| anyhow::anyhow!("the clients panicked"))?
}

async fn measure(address: SocketAddr, duration: Duration) -> Result<Overload> {
    let seconds = duration.as_secs_f64();
    let peak = ask(address, PEAK_CONNECTIONS, Duration::ZERO, duration).await?;
    ensure!(peak.refused.is_empty(), "{} refused at the peak", peak.refused.len());
    let peak_per_s = peak.served.len() as f64 / seconds;
    ensure!(peak_per_s > 0.0, "nothing was served");
    let interval = Duration::from_secs_f64(f64::from(CONNECTIONS) / (FACTOR * peak_per_s));
    let Seen { served, refused } = ask(address, CONNECTIONS, interval, duration).await?;
    let (served_count, refused_count) = (served.len() as f64, refused.len() as f64);
    let (served, refused) = (Latency::of(served), Latency::of(refused));
    Ok(Overload {
        peak_per_s,
        offered_per_s: (served_count + refused_count) / seconds,
        served_per_s: served_count / seconds,
        refused_per_s: refused_count / seconds,
        served_p50_us: served.p50_us,
        served_p99_us: served.p99_us,
        refused_p50_us: refused.p50_us,
        refused_p99_us: refused.p99_us,
    })
}

/// Asks over so many connections, every `interval` on each; what is answered within `duration`, once
/// it has settled, counts.
async fn ask(
    address: SocketAddr,
    connections_count: u32,
    interval: Duration,
    duration: Duration,
) -> Result<Seen> {
    let begin = Instant::now() + SETTLING;
    let mut clients = JoinSet::new();
    for number in 0..connections_count {
        let first = Instant::now() + interval * number / connections_count;
        clients.spawn(async move { ask_on(address, first, interval, begin, duration).await });
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let Seen { served, refused } = seen??;
        all.served.extend(served);
        all.refused.extend(refused);
    }
    Ok(all)
}

async fn ask_on(
    address: SocketAddr,
    first: Instant,
    interval: Duration,
    begin: Instant,
    duration: Duration,
) -> Result<Seen> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (path, host) = (Scenario::Overload.path(), Scenario::Overload.host());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n");
    let (mut seen, mut due) = (Seen::default(), first);
    let end = begin + duration;
    while due < end {
        sleep_until(due.into()).await;
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let is_served = timeout(LIMIT, answered(&mut stream)).await??;
        let now = Instant::now();
        if (begin..end).contains(&now) {
            let times = if is_served { &mut seen.served } else { &mut seen.refused };
            times.push(now - asked);
        }
        // Who was kept waiting does not make up for it.
        due = (due + interval).max(now);
    }
    Ok(seen)
}

/// Reads a whole response; whether it is what was asked for.
async fn answered(stream: &mut TcpStream) -> Result<bool> {
    let mut response = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut response).await? > 0, "closed");
        let is_served = response.starts_with(b"HTTP/1.1 200 ");
        if is_served && response.ends_with(b"\r\n0\r\n\r\n") {
            return Ok(true);
        }
        if !is_served && response.ends_with(b"\r\n\r\noverloaded\n") {
            let text = String::from_utf8_lossy(&response).to_lowercase();
            let is_told = text.starts_with("http/1.1 503 ") && text.contains("\r\nretry-after: ");
            return if is_told { Ok(false) } else { bail!("{text}") };
        }
    }
}
