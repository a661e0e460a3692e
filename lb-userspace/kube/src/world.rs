//! What lowering looks at: every cluster's objects, and what the operator says about them.

use crate::{ObjectId, Objects, Options};
use lb_model::Desired;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// What lowering looks at. Equal worlds give equal results on every router.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What the operator says.
    pub options: Arc<Options>,
    /// What the file says, beside clusters: discovery takes templates from it.
    pub file: Arc<Desired>,
    /// The clusters, in the order of the configuration.
    pub clusters: Vec<Cluster>,
    /// This replica holds the Lease: it hands out addresses that status does not name yet.
    pub leads: bool,
    /// Addresses as this replica's last lowering gave them ([`crate::Lowered::assigned`]): they hold
    /// until status names them.
    pub assigned: Arc<BTreeMap<ObjectId, Vec<IpAddr>>>,
    /// Names of clusters that could not be read since the start: what they have, and which addresses,
    /// is what was kept. Their status may be older than that.
    pub recalled: BTreeSet<String>,
    /// Seconds since the Unix epoch.
    pub now_seconds: u64,
}

/// One cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Name.
    pub name: String,
    /// Share of each of its endpoints.
    pub weight: u16,
    /// What it has; the last good state while its API server is away.
    pub objects: Objects,
}
