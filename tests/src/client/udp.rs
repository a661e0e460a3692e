//! Many UDP exchanges: one datagram there, one back, nothing sent twice.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::socket::{connect_udp, raise_open_file_limit, runtime, source, within};
use super::tally::{Answer, Failure, Tally};
use super::tcp::{failure, payload};
use crate::lab::Host;

/// The largest UDP payload over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Many UDP exchanges with one target, each from a port of its own.
#[derive(Clone, Debug)]
pub struct UdpRun {
    /// Where to send to.
    pub target: SocketAddr,
    /// Exchanges in all.
    pub count: u64,
    /// Exchanges at a time.
    pub parallel: u64,
    /// The client's addresses, taken in turn; empty lets the kernel choose.
    pub sources: Vec<IpAddr>,
    /// Bytes in each datagram; above about 1,450 the client's IP layer fragments it.
    pub payload_bytes: usize,
    /// How long to wait for the answer, which is then lost: nothing is sent again.
    pub timeout: Duration,
}

impl UdpRun {
    /// `count` exchanges of 32 bytes, 64 at a time, 2 seconds for an answer.
    pub fn new(target: SocketAddr, count: u64) -> Self {
        Self {
            target,
            count,
            parallel: 64,
            sources: Vec::new(),
            payload_bytes: 32,
            timeout: Duration::from_secs(2),
        }
    }
}

/// Makes the exchanges from `host` and tallies who answered.
///
/// Errors are those of the harness; an exchange that fails is in [`Tally::failures`].
pub fn udp_exchanges(host: &Host, run: &UdpRun) -> Result<Tally> {
    raise_open_file_limit()?;
    host.enter(|| runtime()?.block_on(all(run)))?
}

async fn all(run: &UdpRun) -> Result<Tally> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..run.parallel.min(run.count) {
        let (run, next) = (run.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let (mut tally, mut buffer) = (Tally::default(), vec![0; DATAGRAM_BYTES_MAX]);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= run.count {
                    return tally;
                }
                tally.add(one(&run, index, &mut buffer).await);
            }
        });
    }
    let mut tally = Tally::default();
    while let Some(worker) = workers.join_next().await {
        tally.merge(worker.context("a client task")?);
    }
    Ok(tally)
}

async fn one(run: &UdpRun, index: u64, buffer: &mut [u8]) -> Result<Answer, Failure> {
    let socket = connect_udp(source(&run.sources, index, run.target), run.target).await?;
    let local = socket.local_addr().ok();
    let sent = payload(index, run.payload_bytes);
    within("send", local, run.timeout, socket.send(&sent)).await?;
    let len = within("answer", local, run.timeout, socket.recv(buffer)).await?;
    let (answer, echoed) =
        split(buffer.get(..len).unwrap_or_default()).map_err(|e| failure(local, "answer", &e))?;
    if echoed != sent {
        return Err(failure(local, "answer", "other bytes than were sent"));
    }
    Ok(answer)
}

/// Splits a server's datagram into its first line and the echo.
pub(super) fn split(datagram: &[u8]) -> Result<(Answer, &[u8]), String> {
    let end = datagram.iter().position(|byte| *byte == b'\n').ok_or("no first line")?;
    let (line, echo) = datagram.split_at(end);
    Ok((Answer::parse(line)?, echo.get(1..).unwrap_or_default()))
}
