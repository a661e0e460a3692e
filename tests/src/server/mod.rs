//! Real servers for backends: what `lb-peer serve` runs, and how a test starts it.
//!
//! * TCP: the first line is `NAME ADDRESS:PORT\n`, the server's name and the client as it sees
//!   it; then everything is echoed until the client ends.
//! * UDP: each datagram is answered by one with the same first line and the datagram, sent from
//!   the address the datagram was sent to.
//! * HTTP: `GET /healthz` is 200 with the name as its body, anything else 404.

mod http;
mod packet_info;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::client::raise_open_file_limit;
use crate::lab::{Host, Process};
use crate::wait::binary;

/// What `lb-peer` prints when all its sockets are bound.
const READY: &str = "ready";
/// Binding takes milliseconds; a busy machine is allowed for.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Which ports a server has, on all addresses of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP ports that greet and echo.
    pub tcp: Vec<u16>,
    /// UDP ports that answer.
    pub udp: Vec<u16>,
    /// TCP ports that speak HTTP.
    pub http: Vec<u16>,
}

/// A server process on a host; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
}

impl Server {
    /// Starts `lb-peer serve` on the host, under the host's name, and waits until it is ready.
    pub fn start(host: &Host, ports: &Ports) -> Result<Self> {
        let mut command = host.command(binary("lb-peer")?)?;
        command.arg("serve").arg("--name").arg(host.name());
        for (option, numbers) in
            [("--tcp", &ports.tcp), ("--udp", &ports.udp), ("--http", &ports.http)]
        {
            for number in numbers {
                command.arg(option).arg(number.to_string());
            }
        }
        let mut process = host.spawn(&mut command)?;
        process
            .wait_for_line(READY, READY_LIMIT)
            .with_context(|| format!("the server on {}", host.name()))?;
        Ok(Self { process })
    }

    /// Ends the server as a crash would (SIGKILL): the kernel resets its connections.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Stops or continues the server: its kernel still accepts, but nothing is answered.
    pub fn pause(&self, paused: bool) -> Result<()> {
        self.process.signal(if paused { Signal::STOP } else { Signal::CONT })
    }
}

/// Serves until the process is killed; prints `ready` when all sockets are bound.
///
/// Errors: a port that cannot be bound, or a listening socket that fails.
pub async fn serve(name: &str, ports: &Ports) -> Result<()> {
    raise_open_file_limit()?;
    let mut tasks = JoinSet::new();
    for address in on_all_addresses(&ports.tcp) {
        tasks.spawn(tcp::serve(tcp::listen(address)?, name.to_owned()));
    }
    for address in on_all_addresses(&ports.http) {
        tasks.spawn(http::serve(tcp::listen(address)?, name.to_owned()));
    }
    for address in on_all_addresses(&ports.udp) {
        tasks.spawn(udp::serve(udp::bind(address)?, name.to_owned()));
    }
    println!("{READY}");
    match tasks.join_next().await {
        Some(ended) => ended.context("a server task")?,
        None => Ok(()),
    }
}

fn on_all_addresses(ports: &[u16]) -> impl Iterator<Item = SocketAddr> {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    ports.iter().flat_map(move |port| any.map(|address| SocketAddr::new(address, *port)))
}
