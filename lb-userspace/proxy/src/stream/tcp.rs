//! Connections that are passed on as they are, or out of TLS.

use super::{Limits, Pick, Relayed, connect::connect, relay};
use crate::{connection::Connection, drain::Drain, http::Reason, io::Io};
use std::net::SocketAddr;

/// What became of a connection that was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who answered.
    pub endpoint: SocketAddr,
    /// What was passed on.
    pub relayed: Relayed,
}

/// Passes a connection on to an endpoint. If none can be connected to, the client's connection is
/// closed, and the error tells why.
pub async fn serve_tcp<P: Pick>(
    io: Io,
    connection: &Connection,
    pick: &P,
    limits: Limits,
    drain: Drain,
) -> Result<Session, Reason> {
    use super::Lease as _;

    // On the heap only while it lasts: sessions are long.
    let (outgoing, lease) = Box::pin(connect(pick, connection)).await?;
    let relayed = relay(io, outgoing, limits, drain).await;
    Ok(Session { endpoint: lease.address(), relayed })
}
