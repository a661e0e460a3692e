//! All that resources are built from.

use crate::{
    dataplane::{Stats, Traffic, VipStats},
    health::{HealthRecord, Key},
    reconcile::Image,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One moment of a data plane. Without the daemon, `health` is empty.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What the maps hold.
    pub image: Arc<Image>,
    /// Counters.
    pub stats: Stats,
    /// Health records.
    pub health: BTreeMap<Key, HealthRecord>,
    /// Backends drained by an operator.
    pub drained: BTreeSet<Key>,
    /// Interface names by index.
    pub interfaces: BTreeMap<u32, String>,
}

impl View {
    /// Counters of the VIP with this index.
    pub(super) fn vip_stats(&self, index: u32) -> Option<&VipStats> {
        self.stats.vips.iter().find(|stats| stats.index == index)
    }

    /// Traffic of a backend of the VIP with this index.
    pub(super) fn backend_traffic(&self, vip: u32, backend: &str) -> Traffic {
        let stats = self.vip_stats(vip);
        let found = stats.and_then(|s| s.backends.iter().find(|stats| stats.backend == backend));
        found.map(|stats| stats.traffic).unwrap_or_default()
    }

    /// Name of an interface, or its index.
    pub(super) fn interface_name(&self, ifindex: u32) -> String {
        self.interfaces.get(&ifindex).cloned().unwrap_or_else(|| ifindex.to_string())
    }
}
