//! `Image`: the whole contents of the L4 maps, with the names of things.

use crate::model::Vip;
use ipnet::IpNet;
use lb_common::abi::{BackendEntry, Features, SLOT_MOVED, VipEntry};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// What the maps hold, or should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// Counts applied changes; 0 = nothing was ever applied.
    pub generation: u64,
    /// VIPs in service.
    pub vips: BTreeMap<Vip, VipImage>,
    /// Parts of the packet path that these VIPs need.
    pub features: Features,
    /// Addresses of proxied VIPs: the host's stack must take them for its own.
    pub locals: BTreeSet<IpAddr>,
    /// Generation last given to each backend index that was ever used, so that a reused index
    /// gets a new one.
    pub generations: BTreeMap<u32, u32>,
}

impl Image {
    /// When the next transition window ends, milliseconds since the Unix epoch: an image compiled
    /// then forgets previous backends.
    pub fn next_window_end_ms(&self) -> Option<u64> {
        self.vips.values().map(|vip| vip.ring.window_ends_ms).filter(|ends| *ends != 0).min()
    }

    /// The same with weights that no backend has: in a change of it every ring is computed anew. For
    /// what was read back: a plan cut short has written backends, but perhaps not swapped their rings.
    #[must_use]
    pub fn doubted(&self) -> Self {
        let mut doubted = self.clone();
        let backends = doubted.vips.values_mut().flat_map(|vip| vip.backends.values_mut());
        backends.for_each(|backend| backend.weight = u16::MAX);
        doubted
    }
}

/// One VIP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VipImage {
    /// Service that owns the VIP, or the listeners that a proxied VIP is given to.
    pub service: String,
    /// Map value.
    pub entry: VipEntry,
    /// Ranges of clients that are served, all of the VIP's family; nobody else is if the entry says
    /// `VIP_FLAG_SOURCES`.
    pub sources: BTreeSet<IpNet>,
    /// Why the mode was chosen, if it was `auto`; words for the operator.
    pub mode_reason: Option<String>,
    /// Its ring.
    pub ring: RingImage,
    /// Backends by name. Draining and dead ones stay listed while they are desired.
    pub backends: BTreeMap<String, BackendImage>,
}

/// One backend of one VIP.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendImage {
    /// Map value. Its index is stable while the backend keeps its name, address and port; its
    /// generation too while it lives.
    pub entry: BackendEntry,
    /// Relative weight as configured.
    pub weight: u16,
}

/// A ring and the memory of its moves.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RingImage {
    /// `ring_slots` words: backend index and `SLOT_MOVED`; index 0 = no backend takes new flows
    /// of the slot, but a draining one may still own old ones. Empty = no living backend at all.
    pub slots: Arc<[u32]>,
    /// `ring_slots` words: previous backend index or 0; `None` = nothing has a previous backend.
    pub previous: Option<Arc<[u32]>>,
    /// When the transition window of the newest move ends, milliseconds of the wall clock since
    /// the Unix epoch (it must survive restarts); 0 = no move in transition.
    pub window_ends_ms: u64,
}

impl RingImage {
    /// Every backend index that the ring names, now or as a previous backend.
    pub fn backends(&self) -> BTreeSet<u32> {
        let current = self.slots.iter().map(|word| word & !SLOT_MOVED);
        let previous = self.previous.iter().flat_map(|table| table.iter().copied());
        current.chain(previous).filter(|index| *index != 0).collect()
    }

    /// Slots that carry the moved mark.
    pub fn moved_count(&self) -> usize {
        self.slots.iter().filter(|word| *word & SLOT_MOVED != 0).count()
    }
}
