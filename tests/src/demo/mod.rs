//! The demo: every forwarding mode under real traffic, a backend and lbd killed under load, then
//! the proxy.

mod balance;
mod chaos;
mod proxy;
mod report;

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::lbd::Daemon;
use crate::services::{INTERFACES, Mode, configuration};
use crate::site::{self, serve};
use report::Report;

/// What came of a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// TCP connections and UDP exchanges made.
    pub connection_count: u64,
    /// Failures that should not have happened, wrong shares and wrong addresses included.
    pub unexpected_count: usize,
}

/// Runs the demo and prints what happens. Takes the lab down again, also on errors.
///
/// `count` is the number of TCP connections, and of UDP exchanges, for each mode and family.
/// Errors: what keeps the demo from going on, such as an lbd that does not start.
pub fn run(count: u64) -> Result<Outcome> {
    let started = Instant::now();
    let mut report = Report::default();
    let lab = site::lab()?;
    println!("lab {} is up", lab.id());
    let mut servers = lab.backends().iter().map(serve).collect::<Result<Vec<_>>>()?;
    let mut daemon = Daemon::start(&lab, &configuration(lab.backends()))?;
    let native = daemon.native_interfaces()?;
    println!("lbd runs on the router, in native XDP on {}", native.join(", "));
    ensure!(native == INTERFACES, "lbd should be on {INTERFACES:?}");
    warm_up(&lab)?;
    println!();

    balance::run(&lab, count, &mut report)?;
    chaos::kill_backend(&lab, &mut servers, serve, &mut report)?;
    chaos::kill_daemon(&lab, &mut daemon, &mut report)?;
    proxy::run(&lab, &daemon, &mut report)?;

    if report.unexpected_count() > 0 {
        println!("\ncounters of lbd:\n{}", daemon.stats()?);
    }
    daemon.remove()?;
    drop(servers);
    drop(lab);
    println!("\nall is taken down again, after {} seconds", started.elapsed().as_secs());
    let (connection_count, unexpected_count) = (report.connection_count, report.unexpected_count());
    Ok(Outcome { connection_count, unexpected_count })
}

/// Waits until health checks have put every backend into every ring.
fn warm_up(lab: &Lab) -> Result<()> {
    for backend in lab.backends() {
        chaos::wait_until_ring(lab, backend.name(), true)?;
    }
    println!("{} services are ready", Mode::ALL.len());
    Ok(())
}
