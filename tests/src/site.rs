//! A site: a lab whose router runs lbd and whose backends serve.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lb_userspace::admin::resource::{BackendResource, List, StatResource, VipResource};

use crate::client::{Protocol, Tally, TcpRun, UdpRun, tcp_connections, udp_exchanges};
use crate::lab::{Family, Host, Lab, Options};
use crate::lbd::Daemon;
use crate::server::{Ports, Server};
use crate::services::{TCP_PORT, UDP_PORT, WEIGHTS, vips_on_backends};
use crate::wait::eventually;

/// Room for health checks and a busy machine.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// Everything that end-to-end cases need; goes down when dropped.
#[derive(Debug)]
pub struct Site {
    /// lbd on the router. Declared before the lab, so that it goes first.
    pub daemon: Daemon,
    /// The servers, in the order of the backends.
    pub servers: Vec<Server>,
    /// The hosts.
    pub lab: Lab,
}

impl Site {
    /// Raises a lab with a backend for each of [`WEIGHTS`] and runs lbd with what `configuration`
    /// makes of the backends; returns when all of them take new flows.
    pub fn start(configuration: impl FnOnce(&[Host]) -> String) -> Result<Self> {
        let lab = lab()?;
        let servers = lab.backends().iter().map(serve).collect::<Result<Vec<_>>>()?;
        let daemon = Daemon::start(&lab, &configuration(lab.backends()))?;
        let site = Self { daemon, servers, lab };
        site.wait_until_ready()?;
        Ok(site)
    }

    /// Waits until every configured backend takes new flows.
    pub fn wait_until_ready(&self) -> Result<()> {
        self.wait_for_backends("every backend is active", |backend| {
            backend.state == "active" && backend.next_hop.is_some()
        })
    }

    /// Waits until lbd says of each backend entry what is wanted.
    pub fn wait_for_backends(
        &self,
        what: &str,
        wanted: impl Fn(&BackendResource) -> bool,
    ) -> Result<()> {
        let mut last = Vec::new();
        let done = eventually(READY_LIMIT, what, || {
            last = self.backends().ok()?;
            (!last.is_empty() && last.iter().all(&wanted)).then_some(())
        });
        done.with_context(|| {
            let other: Vec<_> = last.iter().filter(|backend| !wanted(backend)).collect();
            format!("{other:?}\nlbd printed:\n{}", self.daemon.lines().join("\n"))
        })
    }

    /// `lbctl get backends`.
    pub fn backends(&self) -> Result<Vec<BackendResource>> {
        Ok(self.daemon.ask::<List<_>>(&["get", "backends"])?.items)
    }

    /// `lbctl get vips`.
    pub fn vips(&self) -> Result<Vec<VipResource>> {
        Ok(self.daemon.ask::<List<_>>(&["get", "vips"])?.items)
    }

    /// `lbctl get stats`: packets by the counter's name.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let stats = self.daemon.ask::<List<StatResource>>(&["get", "stats"])?;
        Ok(stats.items.into_iter().map(|stat| (stat.name, stat.packets)).collect())
    }

    /// TCP connections from all addresses of the client.
    pub fn connect(&self, target: SocketAddr, count: u64) -> Result<Tally> {
        let mut run = TcpRun::new(target, count);
        run.sources = self.sources(target);
        tcp_connections(self.lab.client(), &run)
    }

    /// UDP exchanges of so many bytes from all addresses of the client.
    pub fn exchange(&self, target: SocketAddr, count: u64, payload_bytes: usize) -> Result<Tally> {
        let mut run = UdpRun::new(target, count);
        (run.sources, run.payload_bytes) = (self.sources(target), payload_bytes);
        udp_exchanges(self.lab.client(), &run)
    }

    /// Connections or exchanges, by the protocol.
    pub fn talk(&self, protocol: Protocol, target: SocketAddr, count: u64) -> Result<Tally> {
        match protocol {
            Protocol::Tcp => self.connect(target, count),
            Protocol::Udp => self.exchange(target, count, 32),
            Protocol::Sctp => bail!("the lab's clients do not speak SCTP"),
        }
    }

    /// The addresses of the client that can talk to the target.
    pub fn sources(&self, target: SocketAddr) -> Vec<std::net::IpAddr> {
        let family = if target.is_ipv4() { Family::V4 } else { Family::V6 };
        self.lab.client().addresses(family)
    }
}

/// The lab of a site, before anything runs in it.
pub fn lab() -> Result<Lab> {
    Lab::up(&Options { backend_count: WEIGHTS.len(), vips_on_backends: vips_on_backends() })
}

/// Starts the server of a backend.
pub fn serve(host: &Host) -> Result<Server> {
    Server::start(host, &Ports { tcp: vec![TCP_PORT], udp: vec![UDP_PORT], http: Vec::new() })
}
