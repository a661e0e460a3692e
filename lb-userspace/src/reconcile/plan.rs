//! `Plan`: the ordered steps from one `Image` to the next.
//!
//! The order makes every state in between safe for the packets of that instant: what is pointed
//! to exists before the pointer, and what is removed is no longer pointed to.

use super::VipInfo;
use crate::model::Vip;
use ipnet::IpNet;
use lb_common::abi::{BackendEntry, BackendId, Features, VipEntry};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// Ordered steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Steps in order of application.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// One step; each is idempotent, so that a plan cut short by a crash can be made again from what
/// the maps then hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Load (at least) these parts of the packet path: first if a change needs more of them, last
    /// if it needs fewer.
    PutFeatures {
        /// Parts.
        features: Features,
    },
    /// Write a backend entry and its names.
    PutBackend {
        /// Entry; its id says where.
        entry: BackendEntry,
        /// Service name.
        service: String,
        /// Backend name.
        backend: String,
        /// Weight.
        weight: u16,
        /// Whether the index gets a new occupant, whose counters start at zero.
        is_new: bool,
    },
    /// Write what is remembered about a VIP (owner, reason, window). Before its ring, so that
    /// after a crash no moved slot is without the end of its window.
    PutVipInfo {
        /// VIP index.
        index: u32,
        /// What is remembered.
        info: VipInfo,
    },
    /// Write the previous backends of a VIP's moved slots.
    PutPrevious {
        /// VIP index.
        vip: u32,
        /// Slots.
        slots: Arc<[u32]>,
    },
    /// Swap a VIP's ring.
    PutRing {
        /// VIP index.
        vip: u32,
        /// Slots.
        slots: Arc<[u32]>,
    },
    /// Let these clients of a VIP in too. Before its entry says that only those let in are served.
    PutSources {
        /// VIP index.
        vip: u32,
        /// Ranges.
        ranges: BTreeSet<IpNet>,
    },
    /// Let these clients of a VIP in no longer.
    RemoveSources {
        /// VIP index.
        vip: u32,
        /// Ranges.
        ranges: BTreeSet<IpNet>,
    },
    /// Have the host's stack take exactly these addresses for its own: first those that a change
    /// adds, last those that are left.
    PutLocals {
        /// Addresses.
        addresses: BTreeSet<IpAddr>,
    },
    /// Announce a VIP (and, if first, its address marker).
    PutVip {
        /// The VIP.
        vip: Vip,
        /// Map value.
        entry: VipEntry,
        /// Whether its address gets its marker now.
        is_first_of_address: bool,
    },
    /// Withdraw a VIP and forget what is remembered about it.
    RemoveVip {
        /// The VIP.
        vip: Vip,
        /// Its index.
        index: u32,
        /// Whether its address marker goes too.
        is_last_of_address: bool,
    },
    /// Remove a VIP's ring.
    RemoveRing {
        /// VIP index.
        vip: u32,
    },
    /// Forget the previous backends of a VIP.
    RemovePrevious {
        /// VIP index.
        vip: u32,
    },
    /// Free a backend index (its counters are first added to the VIP's retired ones).
    FreeBackend {
        /// Occupant.
        id: BackendId,
        /// VIP index it belonged to.
        vip: u32,
    },
    /// Record the generation that is now in force.
    PutGeneration {
        /// Generation.
        generation: u64,
    },
}

impl Op {
    /// Name of the step in errors and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PutFeatures { .. } => "put features",
            Self::PutBackend { .. } => "put backend",
            Self::PutVipInfo { .. } => "put VIP info",
            Self::PutPrevious { .. } => "put previous",
            Self::PutRing { .. } => "put ring",
            Self::PutSources { .. } => "put source ranges",
            Self::RemoveSources { .. } => "remove source ranges",
            Self::PutLocals { .. } => "put local addresses",
            Self::PutVip { .. } => "put VIP",
            Self::RemoveVip { .. } => "remove VIP",
            Self::RemoveRing { .. } => "remove ring",
            Self::RemovePrevious { .. } => "remove previous",
            Self::FreeBackend { .. } => "free backend",
            Self::PutGeneration { .. } => "put generation",
        }
    }
}
