//! The one apply loop, over anything that can hold map contents.

use super::{Op, Plan};
use crate::model::Vip;
use ipnet::IpNet;
use lb_common::abi::{BackendEntry, BackendId, Features, VipEntry};
use std::{collections::BTreeSet, net::IpAddr};

/// What applying a [`Plan`] needs: one method per [`Op`], whose fields the arguments are.
///
/// Every method is idempotent: repeating it, or removing what is not there, succeeds.
pub trait MapStore {
    /// Why a step failed.
    type Error;

    /// Have (at least) these parts of the packet path loaded.
    fn put_features(&mut self, features: Features) -> Result<(), Self::Error>;
    /// Write a backend entry at `entry.id.index()` with its names and weight; zero the index's
    /// counters first if it `is_new`.
    fn put_backend(
        &mut self,
        entry: &BackendEntry,
        service: &str,
        backend: &str,
        weight: u16,
        is_new: bool,
    ) -> Result<(), Self::Error>;
    /// Write what is remembered about a VIP, keyed by its index.
    fn put_vip_info(&mut self, index: u32, info: &VipInfo) -> Result<(), Self::Error>;
    /// Swap the table of previous backends.
    fn put_previous(&mut self, vip: u32, slots: &[u32]) -> Result<(), Self::Error>;
    /// Swap the ring.
    fn put_ring(&mut self, vip: u32, slots: &[u32]) -> Result<(), Self::Error>;
    /// Let clients of a VIP in too.
    fn put_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Self::Error>;
    /// Let clients of a VIP in no longer.
    fn remove_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Self::Error>;
    /// Have the host's stack take exactly these addresses for its own.
    fn put_locals(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), Self::Error>;
    /// Write a VIP, and its address marker if it is the first of its address.
    fn put_vip(
        &mut self,
        vip: Vip,
        entry: &VipEntry,
        is_first_of_address: bool,
    ) -> Result<(), Self::Error>;
    /// Remove a VIP, then its address marker if it was the last, then what is remembered of it.
    fn remove_vip(
        &mut self,
        vip: Vip,
        index: u32,
        is_last_of_address: bool,
    ) -> Result<(), Self::Error>;
    /// Remove a ring.
    fn remove_ring(&mut self, vip: u32) -> Result<(), Self::Error>;
    /// Remove a table of previous backends.
    fn remove_previous(&mut self, vip: u32) -> Result<(), Self::Error>;
    /// Mark an index free. Its id stays in the entry (state `Free`), for the next occupant's
    /// generation.
    fn free_backend(&mut self, id: BackendId, vip: u32) -> Result<(), Self::Error>;
    /// Record the generation now in force.
    fn put_generation(&mut self, generation: u64) -> Result<(), Self::Error>;
}

/// What is remembered about a VIP beside its map value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipInfo {
    /// The VIP.
    pub vip: Vip,
    /// Service or listeners that own it.
    pub service: String,
    /// Reason of an `auto` mode.
    pub mode_reason: Option<String>,
    /// End of the transition window, milliseconds since the Unix epoch; 0 = none.
    pub window_ends_ms: u64,
}

/// A plan stopped at a step; the steps before it are in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {op_index} of the plan ({op_name}) failed")]
pub struct ApplyError<E> {
    /// Position of the failed step in the plan.
    pub op_index: usize,
    /// Name of the failed step.
    pub op_name: &'static str,
    /// Why.
    pub source: E,
}

/// Takes every step of `plan` in order and stops at the first that fails.
pub fn apply<S: MapStore>(plan: &Plan, store: &mut S) -> Result<(), ApplyError<S::Error>> {
    for (op_index, op) in plan.ops.iter().enumerate() {
        apply_op(op, store).map_err(|source| ApplyError {
            op_index,
            op_name: op.name(),
            source,
        })?;
    }
    Ok(())
}

fn apply_op<S: MapStore>(op: &Op, store: &mut S) -> Result<(), S::Error> {
    match op {
        Op::PutFeatures { features } => store.put_features(*features),
        Op::PutBackend { entry, service, backend, weight, is_new } => {
            store.put_backend(entry, service, backend, *weight, *is_new)
        }
        Op::PutVipInfo { index, info } => store.put_vip_info(*index, info),
        Op::PutPrevious { vip, slots } => store.put_previous(*vip, slots),
        Op::PutRing { vip, slots } => store.put_ring(*vip, slots),
        Op::PutSources { vip, ranges } => store.put_sources(*vip, ranges),
        Op::RemoveSources { vip, ranges } => store.remove_sources(*vip, ranges),
        Op::PutLocals { addresses } => store.put_locals(addresses),
        Op::PutVip { vip, entry, is_first_of_address } => {
            store.put_vip(*vip, entry, *is_first_of_address)
        }
        Op::RemoveVip { vip, index, is_last_of_address } => {
            store.remove_vip(*vip, *index, *is_last_of_address)
        }
        Op::RemovePrevious { vip } => store.remove_previous(*vip),
        Op::RemoveRing { vip } => store.remove_ring(*vip),
        Op::FreeBackend { id, vip } => store.free_backend(*id, *vip),
        Op::PutGeneration { generation } => store.put_generation(*generation),
    }
}
