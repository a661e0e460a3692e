//! Connections that stay open: proof that flows stay where they are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::socket::{connect_tcp, raise_open_file_limit, runtime, source, within};
use super::tally::Failure;
use super::tcp::{failure, greeting, payload};
use crate::lab::Host;

/// The limit of each step on a connection: what is lost is never answered, what a busy machine holds
/// up is.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// Connections opened at a time.
const PARALLEL: usize = 128;

/// Open TCP connections to one target. Dropping it closes them.
pub struct LongLived {
    runtime: Runtime,
    connections: Vec<Connection>,
    pings_sent: u64,
}

/// How one connection answered a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The client's side of the connection.
    pub local: SocketAddr,
    /// The backend that greeted the connection.
    pub backend: String,
    /// Whether the echo came back.
    pub result: Result<(), Failure>,
}

struct Connection {
    stream: TcpStream,
    local: SocketAddr,
    backend: String,
}

impl LongLived {
    /// Opens `count` connections from `host`, taking the sources in turn (none: the kernel
    /// chooses). Errors: any connection that fails, because then the proof would be incomplete.
    pub fn open(host: &Host, target: SocketAddr, count: u64, sources: &[IpAddr]) -> Result<Self> {
        raise_open_file_limit()?;
        let (runtime, connections) = host.enter(|| -> Result<_> {
            let runtime = runtime()?;
            let connections = runtime.block_on(open_all(target, count, sources))?;
            Ok((runtime, connections))
        })??;
        Ok(Self { runtime, connections, pings_sent: 0 })
    }

    /// Sends 16 bytes on every connection and waits for their echo.
    ///
    /// A connection that does not answer stays in the set: it is asked again next time.
    pub fn ping_all(&mut self) -> Vec<Ping> {
        self.pings_sent += 1;
        let sent = payload(self.pings_sent, 16);
        self.runtime.block_on(async {
            // First everything out, then everything in: the waiting times do not add up.
            let mut written = Vec::with_capacity(self.connections.len());
            for connection in &mut self.connections {
                written.push(connection.send(&sent).await);
            }
            let mut pings = Vec::with_capacity(self.connections.len());
            for (connection, written) in self.connections.iter_mut().zip(written) {
                let result = match written {
                    Ok(()) => connection.expect_echo(&sent).await,
                    Err(failure) => Err(failure),
                };
                let (local, backend) = (connection.local, connection.backend.clone());
                pings.push(Ping { local, backend, result });
            }
            pings
        })
    }

    /// The client's side of each connection and the backend that greeted it.
    pub fn flows(&self) -> impl Iterator<Item = (SocketAddr, &str)> {
        self.connections.iter().map(|connection| (connection.local, connection.backend.as_str()))
    }
}

impl fmt::Debug for LongLived {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.flows()).finish()
    }
}

impl Connection {
    async fn open(from: SocketAddr, target: SocketAddr) -> Result<Self, Failure> {
        let mut stream = connect_tcp(from, target, STEP_LIMIT).await?;
        let backend = greeting(&mut stream, STEP_LIMIT).await?.backend;
        let local = stream.local_addr().unwrap_or(from);
        Ok(Self { stream, local, backend })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        within("send", Some(self.local), STEP_LIMIT, self.stream.write_all(bytes)).await
    }

    async fn expect_echo(&mut self, sent: &[u8]) -> Result<(), Failure> {
        let mut echoed = vec![0; sent.len()];
        let local = Some(self.local);
        within("echo", local, STEP_LIMIT, self.stream.read_exact(&mut echoed)).await?;
        if echoed == sent { Ok(()) } else { Err(failure(local, "echo", "other bytes")) }
    }
}

async fn open_all(target: SocketAddr, count: u64, sources: &[IpAddr]) -> Result<Vec<Connection>> {
    let (mut opening, mut connections) = (JoinSet::new(), Vec::new());
    for index in 0..count {
        if opening.len() >= PARALLEL {
            collect(&mut opening, &mut connections).await?;
        }
        opening.spawn(Connection::open(source(sources, index, target), target));
    }
    while !opening.is_empty() {
        collect(&mut opening, &mut connections).await?;
    }
    Ok(connections)
}

async fn collect(
    opening: &mut JoinSet<Result<Connection, Failure>>,
    connections: &mut Vec<Connection>,
) -> Result<()> {
    let Some(opened) = opening.join_next().await else { return Ok(()) };
    match opened.context("a client task")? {
        Ok(connection) => connections.push(connection),
        Err(failure) => bail!("open a connection that is to stay: {failure}"),
    }
    Ok(())
}
