//! Making client sockets, and the runtime they live in.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::tally::Failure;

/// Lets this process open as many files as the system allows a process: 10,000 connections need
/// as many descriptors.
pub fn raise_open_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raise the limit of open files")
}

/// A runtime of one thread: sockets stay in the namespace of the thread that drives it.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("make a tokio runtime")
}

/// The `index`-th source address, round and round; the unspecified address if there is none.
pub(super) fn source(sources: &[IpAddr], index: u64, target: SocketAddr) -> SocketAddr {
    let unspecified = || match target {
        SocketAddr::V4(_) => IpAddr::from([0; 4]),
        SocketAddr::V6(_) => IpAddr::from([0_u16; 8]),
    };
    let chosen = index.checked_rem(sources.len() as u64).and_then(|i| sources.get(i as usize));
    SocketAddr::new(chosen.copied().unwrap_or_else(unspecified), 0)
}

/// Connects from `source`; the port is chosen at connect, so that only the whole four-tuple, not
/// the source port alone, must be unused.
pub(super) async fn connect_tcp(
    source: SocketAddr,
    target: SocketAddr,
    limit: Duration,
) -> Result<TcpStream, Failure> {
    let made = (|| {
        let socket = match target {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(source)?;
        socket.set_nodelay(true)?;
        Ok(socket)
    })();
    let socket = step("bind", Some(source), made)?;
    within("connect", Some(source), limit, socket.connect(target)).await
}

/// A UDP socket from a fresh port of `source`, connected to `target`.
pub(super) async fn connect_udp(
    source: SocketAddr,
    target: SocketAddr,
) -> Result<UdpSocket, Failure> {
    let socket = step("bind", Some(source), UdpSocket::bind(source).await)?;
    step("connect", Some(source), socket.connect(target).await)?;
    Ok(socket)
}

/// The result of one step, its error told as a [`Failure`].
pub(super) fn step<T>(
    step: &'static str,
    local: Option<SocketAddr>,
    result: std::io::Result<T>,
) -> Result<T, Failure> {
    result.map_err(|error| Failure { local, step, error: error.to_string() })
}

/// Like [`step`] for something that takes time, but not more than `limit`.
pub(super) async fn within<T>(
    name: &'static str,
    local: Option<SocketAddr>,
    limit: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(result) => step(name, local, result),
        Err(_) => Err(Failure { local, step: name, error: format!("nothing in {limit:?}") }),
    }
}
