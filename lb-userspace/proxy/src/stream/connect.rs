//! A connection to an endpoint that answers.

use super::{Lease, Pick, proxy_protocol};
use crate::{
    connection::Connection,
    http::Reason,
    io::{Io, Prefixed},
};
use smallvec::SmallVec;
use std::net::SocketAddr;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

/// Endpoints tried for a connection; if none of them answers, the next would hardly either.
const TRIES_MAX: usize = 4;

/// Connects to an endpoint; if that fails, to another one.
pub(super) async fn connect<P: Pick>(
    pick: &P,
    connection: &Connection,
) -> Result<(Io, P::Lease), Reason> {
    let mut tried: SmallVec<[SocketAddr; TRIES_MAX]> = SmallVec::new();
    let mut failed = Reason::NoEndpoint;
    while tried.len() < TRIES_MAX {
        let lease = match pick.pick(connection.client, &tried) {
            Ok(lease) => lease,
            // Nobody is left: what was wrong with those before says more.
            Err(_) if !tried.is_empty() => break,
            Err(reason) => return Err(reason),
        };
        let begin = Instant::now();
        let connecting = open(&lease, connection);
        let opened = tokio::time::timeout(lease.outgoing().connect_timeout, connecting).await;
        match opened.unwrap_or(Err(Reason::ConnectFailed)) {
            Ok(io) => {
                lease.succeeded(begin.elapsed());
                return Ok((io, lease));
            }
            Err(reason) => failed = reason,
        }
        lease.failed();
        tried.push(lease.address());
    }
    Err(failed)
}

async fn open(lease: &impl Lease, connection: &Connection) -> Result<Io, Reason> {
    let failed = |error: std::io::Error| {
        tracing::debug!(%error, "an endpoint could not be connected to");
        Reason::ConnectFailed
    };
    let mut stream = TcpStream::connect(lease.address()).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let outgoing = lease.outgoing();
    if let Some(version) = outgoing.proxy_protocol {
        let tls = connection.tls.as_ref();
        let header = proxy_protocol::write(version, connection.client, connection.local, tls);
        stream.write_all(&header).await.map_err(failed)?;
    }
    match &outgoing.tls {
        None => Ok(Io::Tcp(Prefixed::new(stream))),
        Some(tls) => match tls.connect(stream, lease.host_name()).await {
            Ok((io, _)) => Ok(io),
            Err(error) => Err(error.reason),
        },
    }
}
