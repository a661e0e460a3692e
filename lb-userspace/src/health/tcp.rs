//! Probe: a TCP connection is accepted.

use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// Connects and closes. The error is in the operator's words.
pub(super) async fn probe(address: SocketAddr) -> Result<(), String> {
    connect(address).await.map(drop)
}

/// Connects.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        _ => format!("connect: {error}"),
    })
}
