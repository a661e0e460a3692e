//! The lab: a router, a client, backends and a second leg, in network namespaces.
//!
//! ```text
//!                                      leg B 10.2.0.0/24 fd02::/64      +- eth0 b1 (.11 ::11)
//!  client eth0 ---- a0 router b0 ---- up0 switch (bridge br0, p1..pn) --+- eth0 b2 (.12 ::12)
//!  (.2-.5)     leg A   c0                                               +- eth0 b3 (.13 ::13)
//!   10.1.0.0/24        |  leg C 10.3.0.0/24 fd03::/64
//!   fd01::/64          +---- eth0 gateway eth1 ---- eth0 far (10.4.0.11 fd04::11)
//!                            (.2 ::2)      10.4.0.0/24 fd04::/64
//! ```
//!
//! `gateway` is a second client on another leg *and* the router in front of `far`, the backend
//! that is not on any of the router's own networks. The router's own address is `.1` on each leg;
//! it forwards, and it is everyone's default route, also that of the backends, so replies that
//! bypass the load balancer (DSR, tunnel) take the router's stack. VIPs are routed to the router
//! by that default route and are not addresses of the router: without the load balancer they are
//! unreachable.
//!
//! Backend-side links carry 1600 bytes, client-side ones 1500, so that a tunnel's outer header
//! (20 or 40 bytes) fits on a full-sized packet. Checksum and segmentation offload is off on every
//! interface, because XDP would see unfinished packets otherwise; GRO is on, because a veth takes
//! packets sent by XDP_TX or XDP_REDIRECT only if its peer runs NAPI.

mod host;
mod netns;
mod process;
mod registry;
mod retransmits;
mod topology;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{self as this_process, Command};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, ensure};

use host::ip_batch;
pub use host::{Family, Host, MacAddress};
pub use netns::Netns;
pub use process::Process;
pub use registry::{Owner, Record, State, records, remove_own, sweep};
pub use retransmits::Retransmits;
use topology::Topology;

/// The VIPs of [`Options::default`].
pub const VIPS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11)),
];

/// Most backends a lab can have: `.11` to `.74` on leg B.
pub const BACKEND_MAX: usize = 64;

/// What lab to raise.
#[derive(Clone, Debug)]
pub struct Options {
    /// Backends on leg B, 1 to [`BACKEND_MAX`].
    pub backend_count: usize,
    /// The addresses that backends, `far` included, have on `lo`; see [`Host::add_vips`].
    pub vips_on_backends: Vec<IpAddr>,
}

impl Default for Options {
    /// Three backends that have [`VIPS`] on `lo`.
    fn default() -> Self {
        Self { backend_count: 3, vips_on_backends: VIPS.to_vec() }
    }
}

/// A running lab; goes down, with every process inside it, when dropped.
#[derive(Debug)]
pub struct Lab {
    record: Record,
    kept: bool,
    client: Host,
    router: Host,
    switch: Host,
    gateway: Host,
    far: Host,
    backends: Vec<Host>,
}

impl Lab {
    /// Raises a lab. Labs whose owner has died are removed first.
    ///
    /// Errors: not root, a missing program (`ip`, `ethtool`), or a kernel without namespaces,
    /// veth or bridges. Whatever had been made until then is removed.
    pub fn up(options: &Options) -> Result<Self> {
        ensure!(
            (1..=BACKEND_MAX).contains(&options.backend_count),
            "a lab has 1 to {BACKEND_MAX} backends, not {}",
            options.backend_count,
        );
        sweep()?;
        let id = new_id();
        let topology = Topology::new(&id, options);
        let namespaces = topology.hosts().map(|host| host.netns().name().to_owned()).collect();
        let record = Record { id, owner: Some(Owner::current()?), namespaces };
        record.save()?;
        // From here on dropping `lab` removes what has been made.
        let lab = Self {
            record,
            kept: false,
            client: topology.client.clone(),
            router: topology.router.clone(),
            switch: topology.switch.clone(),
            gateway: topology.gateway.clone(),
            far: topology.far.clone(),
            backends: topology.backends.clone(),
        };
        topology.build(options).with_context(|| format!("raise the lab {}", lab.id()))?;
        Ok(lab)
    }

    /// The id, unique on this machine and part of the names of the namespaces.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The name for an instance of lbd in this lab: see [`Record::instance`].
    pub fn instance(&self) -> String {
        self.record.instance()
    }

    /// The client on leg A.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The load balancer: `a0`, `b0` and `c0` are its legs.
    pub fn router(&self) -> &Host {
        &self.router
    }

    /// The bridge on leg B; it has no addresses.
    pub fn switch(&self) -> &Host {
        &self.switch
    }

    /// The host on leg C: a second client, and the router in front of [`Self::far`].
    pub fn gateway(&self) -> &Host {
        &self.gateway
    }

    /// The backend behind the gateway.
    pub fn far(&self) -> &Host {
        &self.far
    }

    /// The backends on leg B, `b1` first.
    pub fn backends(&self) -> &[Host] {
        &self.backends
    }

    /// A backend on leg B by its number: 1 is `b1`. Errors: no such backend.
    pub fn backend(&self, number: usize) -> Result<&Host> {
        let index = number.checked_sub(1).context("backends count from 1")?;
        self.backends.get(index).with_context(|| format!("no backend b{number}"))
    }

    /// All hosts, the router first.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        [&self.router, &self.client, &self.switch, &self.gateway, &self.far]
            .into_iter()
            .chain(&self.backends)
    }

    /// Leaves the lab up when this process ends; [`Record::remove`] takes it down.
    pub fn keep(mut self) -> Result<Record> {
        let record = Record { owner: None, ..self.record.clone() };
        record.save()?;
        self.kept = true;
        Ok(record)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.record.remove() {
            // Dropping cannot fail; the record stays, so the next lab's sweep tries again.
            eprintln!("lab {} is not all gone: {error:#}", self.id());
        }
    }
}

/// Process id and 16 bits that begin anywhere, because a lab may be left up by an earlier process of
/// that id, and count, because two labs of one process must differ as well.
fn new_id() -> String {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(RandomState::new().hash_one(0_u8) as u16));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}{number:04x}", this_process::id())
}

/// Runs `ip -batch` outside of any host.
fn ip_outside(lines: &[String]) -> Result<()> {
    ip_batch(Command::new("ip"), lines)
}
