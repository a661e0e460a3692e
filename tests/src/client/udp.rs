//! Many UDP exchanges: one datagram there, one back, nothing sent twice.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;

use super::socket::{connect_udp, raise_open_file_limit, runtime, source, step, within};
use super::tally::{Answer, Failure, Tally};
use super::tcp::{failure, payload};
use super::workers::tally_all;
use crate::lab::Host;

/// Longest first line of a server: a name and an address.
const FIRST_LINE_BYTES_MAX: usize = 256;

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
    /// `count` exchanges of 32 bytes, 64 at a time, 10 seconds for an answer: time for a busy machine,
    /// nothing is sent again.
    pub fn new(target: SocketAddr, count: u64) -> Self {
        Self {
            target,
            count,
            parallel: 64,
            sources: Vec::new(),
            payload_bytes: 32,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Makes the exchanges from `host` and tallies who answered.
///
/// Errors are those of the harness; an exchange that fails is in [`Tally::failures`].
pub fn udp_exchanges(host: &Host, run: &UdpRun) -> Result<Tally> {
    raise_open_file_limit()?;
    let exchange = {
        let run = run.clone();
        move |index| one(run.clone(), index)
    };
    host.enter(|| runtime()?.block_on(tally_all(run.count, run.parallel, exchange)))?
}

async fn one(run: UdpRun, index: u64) -> Result<Answer, Failure> {
    let socket = connect_udp(source(&run.sources, index, run.target), run.target).await?;
    let local_address = step("bind", None, socket.local_addr())?;
    let local = Some(local_address);
    let sent = payload(index, run.payload_bytes);
    within("send", local, run.timeout, socket.send(&sent)).await?;
    let mut buffer = vec![0; sent.len() + FIRST_LINE_BYTES_MAX];
    let len = within("answer", local, run.timeout, socket.recv(&mut buffer)).await?;
    let (answer, echoed) = split(buffer.get(..len).unwrap_or_default(), local_address)
        .map_err(|error| failure(local, "answer", &error))?;
    if echoed != sent {
        return Err(failure(local, "answer", "other bytes than were sent"));
    }
    Ok(answer)
}

/// Splits a server's datagram into its first line and the echo.
pub(super) fn split(datagram: &[u8], local: SocketAddr) -> Result<(Answer, &[u8]), String> {
    let end = datagram.iter().position(|byte| *byte == b'\n').ok_or("no first line")?;
    let (line, echo) = datagram.split_at(end);
    Ok((Answer::parse(line, local)?, echo.get(1..).unwrap_or_default()))
}
