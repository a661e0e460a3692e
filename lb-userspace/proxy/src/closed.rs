//! Addresses of tests where nobody listens.

use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// One that nobody else is given as long as the tests run.
pub(crate) fn address() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Box::leak(Box::new(socket)).local_addr().unwrap()
}
