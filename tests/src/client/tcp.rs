//! Many short TCP connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::socket::{connect_tcp, raise_open_file_limit, runtime, source, step, within};
use super::tally::{Answer, Failure, Tally};
use super::workers::tally_all;
use crate::lab::Host;

/// Longest first line of a server: a name and an address.
const GREETING_BYTES_MAX: usize = 256;

/// How a client ends its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// FIN from the client, then the server's FIN; the client's port is busy for a minute.
    Fin,
    /// RST from the client: nothing stays behind anywhere.
    Reset,
}

/// Many TCP connections to one target. Each is opened, greeted, echoes and is closed.
#[derive(Clone, Debug)]
pub struct TcpRun {
    /// Where to connect to.
    pub target: SocketAddr,
    /// Connections in all.
    pub count: u64,
    /// Connections at a time.
    pub parallel: u64,
    /// The client's addresses, taken in turn; empty lets the kernel choose.
    pub sources: Vec<IpAddr>,
    /// Bytes to have echoed on each connection, 0 for none.
    pub payload_bytes: usize,
    /// How connections end.
    pub close: Close,
    /// The limit of each step of a connection.
    pub timeout: Duration,
}

impl TcpRun {
    /// `count` connections, 64 at a time, 16 bytes echoed, closed by FIN, 10 seconds a step: time for
    /// a busy machine, not for what is lost.
    pub fn new(target: SocketAddr, count: u64) -> Self {
        Self {
            target,
            count,
            parallel: 64,
            sources: Vec::new(),
            payload_bytes: 16,
            close: Close::Fin,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Makes the connections from `host` and tallies who answered.
///
/// Errors are those of the harness; a connection that fails is in [`Tally::failures`].
pub fn tcp_connections(host: &Host, run: &TcpRun) -> Result<Tally> {
    raise_open_file_limit()?;
    let exchange = {
        let run = run.clone();
        move |index| one(run.clone(), index)
    };
    host.enter(|| runtime()?.block_on(tally_all(run.count, run.parallel, exchange)))?
}

async fn one(run: TcpRun, index: u64) -> Result<Answer, Failure> {
    let from = source(&run.sources, index, run.target);
    let mut stream = connect_tcp(from, run.target, run.timeout).await?;
    let answer = greeting(&mut stream, run.timeout).await?;
    let local = Some(answer.local);
    if run.payload_bytes > 0 {
        let sent = payload(index, run.payload_bytes);
        let mut echoed = vec![0; sent.len()];
        within("send", local, run.timeout, stream.write_all(&sent)).await?;
        within("echo", local, run.timeout, stream.read_exact(&mut echoed)).await?;
        if echoed != sent {
            return Err(failure(local, "echo", "other bytes than were sent"));
        }
    }
    match run.close {
        Close::Reset => step("close", local, reset(&stream))?,
        Close::Fin => {
            within("close", local, run.timeout, stream.shutdown()).await?;
            let more = within("end", local, run.timeout, stream.read(&mut [0; 1])).await?;
            if more != 0 {
                return Err(failure(local, "end", "more bytes than were sent"));
            }
        }
    }
    Ok(answer)
}

/// Reads the server's first line.
pub(super) async fn greeting(stream: &mut TcpStream, limit: Duration) -> Result<Answer, Failure> {
    let local_address = step("greeting", None, stream.local_addr())?;
    let local = Some(local_address);
    let mut line = Vec::with_capacity(GREETING_BYTES_MAX);
    while line.last() != Some(&b'\n') {
        let read = within("greeting", local, limit, stream.read_buf(&mut line)).await?;
        if read == 0 || line.len() > GREETING_BYTES_MAX {
            return Err(failure(local, "greeting", "no line"));
        }
    }
    Answer::parse(line.trim_ascii_end(), local_address)
        .map_err(|error| failure(local, "greeting", &error))
}

/// Bytes that differ from one exchange to the next.
pub(super) fn payload(index: u64, len_bytes: usize) -> Vec<u8> {
    index.to_be_bytes().into_iter().cycle().take(len_bytes).collect()
}

pub(super) fn failure(local: Option<SocketAddr>, step: &'static str, error: &str) -> Failure {
    Failure { local, step, error: error.to_owned() }
}

fn reset(stream: &TcpStream) -> io::Result<()> {
    Ok(set_socket_linger(stream, Some(Duration::ZERO))?)
}
