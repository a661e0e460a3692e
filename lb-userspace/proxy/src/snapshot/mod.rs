//! What workers serve: compiled from [`lb_model::Proxy`], immutable, swapped as a whole.
//!
//! What must outlive a change of the configuration (statistics, health, rate limits, TLS sessions,
//! connection limits) is shared with the snapshot before, by name. So is everything that did not
//! change: a snapshot costs as much as it differs from the one before. Endpoints change without
//! anything that leads to them: that may be seen before the snapshot is.

mod compile;
mod listener;
mod ports;
mod rule;

pub use listener::{Listener, Sessions};
pub use ports::{Port, Ports};
pub use rule::{Rule, name as rule_name};

use crate::{
    secure::{CertificateReport, Certificates, ClientTls},
    send::Upstream,
};
use compile::About;
use lb_model::{AccessLog, Table};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

/// What workers serve.
#[derive(Default)]
pub struct Snapshot {
    /// The generation of `Desired` that it was made of.
    pub generation: u64,
    /// What it was compiled of.
    pub wanted: lb_model::Proxy,
    /// Listeners by name.
    pub listeners: Table<Arc<str>, Arc<Listener>>,
    /// Upstreams by name.
    pub upstreams: Table<Arc<str>, Arc<Upstream>>,
    /// Rules by name.
    pub rules: Table<Arc<str>, Arc<Rule>>,
    /// Listeners by where clients connect, TCP.
    pub tcp: Ports,
    /// The same, UDP.
    pub udp: Ports,
    /// Request fields that the access log wants, lower case.
    pub logged_fields: Vec<Box<str>>,
    /// What does not work, while the rest does.
    pub problems: Vec<Problem>,
    certificates: Certificates,
    client_tls: Table<Arc<str>, Arc<ClientTls>>,
    /// What is wrong with upstreams and rules.
    told: BTreeMap<About, Vec<Problem>>,
    /// Upstreams that are new, or have other endpoints, since the snapshot before.
    pub(crate) changed: Vec<Arc<Upstream>>,
}

/// Something of the configuration that does not work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is: `listener web`, `route shop`.
    pub object: String,
    /// Why it does not work.
    pub why: String,
}

/// What a snapshot is compiled with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The snapshot before.
    pub previous: &'a Snapshot,
    /// Seed of hashes; equal on all routers.
    pub seed: u64,
    /// Number of workers.
    pub worker_count: usize,
}

impl Snapshot {
    /// What is known of each certificate.
    pub fn certificates(&self) -> Vec<CertificateReport> {
        self.certificates.report()
    }

    /// What is logged.
    pub const fn access_log(&self) -> Option<&AccessLog> {
        self.wanted.settings.access_log.as_ref()
    }

    /// Addresses that are bound the ordinary way, with whether each is for UDP.
    pub fn binds(&self) -> BTreeSet<(SocketAddr, bool)> {
        let of = |listener: &Arc<Listener>| {
            let is_udp = listener.is_udp();
            let binds = listener.model.binds.iter();
            binds.map(move |bind| (bind.address, is_udp)).collect::<Vec<_>>()
        };
        self.listeners.values().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests;
