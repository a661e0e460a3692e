//! The TCP server: greets, then echoes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

/// Connections that may wait to be accepted; the lab raises the kernel's own limit to this.
const BACKLOG: u32 = 65_535;
/// Bytes echoed at a time.
const CHUNK_BYTES: usize = 4096;
/// How long to wait after accept(2) failed, for want of descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Listens on one address; the IPv6 one does not take IPv4 as well.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = || -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if address.is_ipv6() {
            set_ipv6_v6only(&socket, true)?;
        }
        socket.set_reuseaddr(true)?;
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listener().with_context(|| format!("listen on tcp {address}"))
}

/// Serves connections until the process ends.
pub(super) async fn serve(listener: TcpListener, name: String) -> Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let greeting = format!("{name} {peer}\n");
                tokio::spawn(async move {
                    // A client that resets its connection is no concern of the server's.
                    drop(greet_and_echo(stream, greeting).await);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn greet_and_echo(mut stream: TcpStream, greeting: String) -> io::Result<()> {
    stream.write_all(greeting.as_bytes()).await?;
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    while stream.read_buf(&mut buffer).await? > 0 {
        stream.write_all(&buffer).await?;
        buffer.clear();
    }
    stream.shutdown().await
}
