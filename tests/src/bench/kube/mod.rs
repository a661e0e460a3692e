//! `lb-bench kube`: how fast what is applied to a cluster is served, and what that costs.
//!
//! **The parts** are a real kube-apiserver with its etcd, a release build of `lbd` that watches it and
//! writes status, and an origin in this process. All share the machine: no figure leaves out what the
//! API server takes.
//!
//! **Propagation** is the time from the begin of the request that creates an HTTPRoute to the first 200
//! for its host, asked every half millisecond: on a cluster with one route, and among 5,000 of them
//! while endpoints and hosts change 50 times a second. Meanwhile a client asks one of the hosts all
//! the time, and every answer but 200 is an error.
//!
//! **Load** is the time from the start of `lbd` to the first 200 on every Gateway, with all routes there
//! before; then the time until every listener's `attachedRoutes` is right, and the writes of status
//! that it took.

mod ask;
mod churn;
mod load;
mod propagation;
mod report;
mod site;

pub use report::Report;

use anyhow::{Result, ensure};

use crate::kube::ApiServer;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Routes among which propagation is measured.
    pub routes_count: u32,
    /// Times that propagation is measured, idle and under churn each.
    pub probes_count: u32,
    /// Listeners and routes that are loaded.
    pub load: (u32, u32),
}

impl Options {
    /// What the figures are about.
    pub const FULL: Self = Self { routes_count: 5_000, probes_count: 200, load: (2_500, 40_000) };
    /// A tenth of the objects.
    pub const QUICK: Self = Self { routes_count: 500, probes_count: 40, load: (250, 4_000) };
}

/// Measures.
pub fn run(options: &Options) -> Result<Report> {
    ensure!(
        ApiServer::has_real(),
        "no kube-apiserver: `cargo xtask setup --kube-server` builds one, or name a folder with \
         kube-apiserver and etcd by KUBEBUILDER_ASSETS"
    );
    let propagation = propagation::measure(options)?;
    let load = load::measure(options)?;
    Ok(Report::new(options, propagation, load))
}
