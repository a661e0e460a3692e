//! The last good state of clusters, kept over restarts: what a cluster had is served again if its
//! API server is away when the agent starts.
//!
//! Objects are kept as they were read, and not what they were lowered to: a newer version lowers
//! them anew. Secrets are among them, so nobody else may read the files.

mod file;
mod keep;
mod shelf;

pub(crate) use keep::Keeper;
pub(crate) use shelf::Shelf;

use crate::{ObjectId, Objects};
use std::{collections::BTreeMap, net::IpAddr};

/// Addresses by owner.
pub(crate) type Assigned = BTreeMap<ObjectId, Vec<IpAddr>>;

/// What was kept of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// What it had.
    pub(crate) objects: Objects,
    /// Addresses that its objects had, also those that no status named yet.
    pub(crate) assigned: Assigned,
    /// When that was so, milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// Objects that this version cannot read; they are left out.
    pub(crate) unreadable_count: usize,
}

/// Why what was kept is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// It cannot be read at all.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Others may have written it, or may have read what is in it.
    #[error("others than lbd may read or write it")]
    Exposed,
    /// It is larger than anything that is kept.
    #[error("it is larger than {} MiB", file::BYTES_MAX >> 20)]
    TooLarge,
    /// It was not written by this program, or by a version that is too new or too old.
    #[error("it is of an unknown version, or not a saved state at all")]
    Version,
    /// It is of a cluster that is reached in another way.
    #[error("it is of another cluster, kubeconfig, context or list of namespaces")]
    Other,
    /// Something of it is missing, or is not as it was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}
