//! Just-enough tracking (JET, CoNEXT 2021, doi 10.1145/3485983.3494851): while a slot has not
//! moved, the ring alone decides; only in moved slots are flows looked up and stored.

use super::{affinity, hash};
use crate::{
    abi::{
        BackendEntry, BackendId, Features, FlowKey, SLOT_MOVED, VIP_FLAG_AFFINITY,
        VIP_FLAG_UDP_STICKS, VipEntry, Words,
    },
    packet::transport::UDP,
    tables::{FlowTable, Tables},
    verdict::{Decision, Event, Outcome},
};

/// A packet's flow, as the client sends it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one packet")]
pub struct Flow {
    /// Addresses, ports and protocol.
    pub key: FlowKey,
    /// Whether the addresses are IPv4-mapped.
    pub is_ipv4: bool,
    /// Whether the packet opens the flow.
    pub opens: bool,
    /// Whether the packet ends the flow.
    pub closes: bool,
    /// Whether the packet may leave a mark in the flow tables (a quoted packet may not).
    pub stores: bool,
}

/// A chosen backend.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'t> {
    /// Its entry.
    pub backend: &'t BackendEntry,
    /// Flow hash.
    pub hash: u32,
}

/// Slot of a hash: the high half of hash x slots (D. Lemire, "Fast random integer generation in
/// an interval", 2019).
#[inline(always)]
pub const fn slot_of(hash: u32, ring_slots: u32) -> u32 {
    ((hash as u64 * ring_slots as u64) >> 32) as u32
}

/// A flow's place in a ring.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Flow hash.
    pub hash: u32,
    /// Index into the ring.
    pub index: u32,
    /// Its word; 0 = no backend.
    pub word: u32,
}

/// Finds a flow's slot from the client address and the ports (network order).
#[inline(always)]
pub fn slot<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    is_ipv4: bool,
    client: &Words,
    source_port: u16,
    port: u16,
) -> Slot {
    let is_sticky = tables.features().has(Features::AFFINITY) && vip.flags & VIP_FLAG_AFFINITY != 0;
    let (source_port, port) = if is_sticky { (0, 0) } else { (source_port, port) };
    let hash = hash::flow(tables.seed(), is_ipv4, client, source_port, port);
    let index = slot_of(hash, vip.ring_slots);
    let word = tables.ring_slot(vip.index, index).unwrap_or(0);
    tables.note(|trace| {
        trace.slot = index;
        trace.slot_word = word;
    });
    Slot { hash, index, word }
}

/// The backend of a slot that has not moved; `None` if it has.
#[inline(always)]
pub fn settled<'t, T: Tables>(tables: &'t T, slot: &Slot) -> Result<Option<Pick<'t>>, Outcome> {
    if slot.word & SLOT_MOVED != 0 {
        return Ok(None);
    }
    tables.note(|trace| trace.decision = Decision::Ring as u8);
    Ok(Some(Pick { backend: occupied(tables, slot.word)?, hash: slot.hash }))
}

/// Chooses the backend of a packet, whether its slot moved or not.
#[inline(always)]
pub fn pick<'t, T: Tables>(
    tables: &'t T,
    vip: &VipEntry,
    flow: &Flow,
) -> Result<Pick<'t>, Outcome> {
    let slot = slot_of_flow(tables, vip, flow);
    if let Some(pick) = settled(tables, &slot)? {
        return Ok(pick);
    }
    let current = slot.word & !SLOT_MOVED;
    let (index, decision) = decide_moved(tables, vip, flow, slot.index, current);
    tables.note(|trace| trace.decision = decision as u8);
    let backend = occupied(tables, index)?;
    if flow.stores {
        remember(tables, vip, flow, decision, backend.id);
    }
    Ok(Pick { backend, hash: slot.hash })
}

/// Chooses the backend of a new flow by the ring alone: for modes that keep every flow themselves.
#[inline(always)]
pub fn pick_untracked<'t, T: Tables>(
    tables: &'t T,
    vip: &VipEntry,
    flow: &Flow,
) -> Result<Pick<'t>, Outcome> {
    let slot = slot_of_flow(tables, vip, flow);
    Ok(Pick { backend: occupied(tables, slot.word & !SLOT_MOVED)?, hash: slot.hash })
}

/// The backend of an id, if it still is that backend and established flows may stay there.
#[inline(always)]
pub fn still_living<T: Tables>(tables: &T, id: BackendId) -> Option<&BackendEntry> {
    living(tables, id.index()).filter(|backend| backend.id.0 == id.0)
}

#[inline(always)]
fn slot_of_flow<T: Tables>(tables: &T, vip: &VipEntry, flow: &Flow) -> Slot {
    let key = &flow.key;
    slot(tables, vip, flow.is_ipv4, &key.source, key.source_port, key.destination_port)
}

#[inline(always)]
fn decide_moved<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    flow: &Flow,
    slot: u32,
    current: u32,
) -> (u32, Decision) {
    if flow.key.protocol == UDP && vip.flags & VIP_FLAG_UDP_STICKS == 0 {
        return (current, Decision::Ring);
    }
    if flow.opens {
        // A SYN or INIT never looks its own flow up: it is new, whatever an old flow with its ports did.
        return match affinity::recall(tables, vip, flow) {
            Some(backend) => (backend.id.index(), Decision::Affinity),
            None => (current, Decision::New),
        };
    }
    if let Some(backend) = tracked(tables, flow) {
        return (backend.id.index(), Decision::Tracked);
    }
    let previous = tables.previous_slot(vip.index, slot).unwrap_or(0);
    match living(tables, previous) {
        Some(_) => (previous, Decision::Previous),
        None => (current, Decision::Current),
    }
}

/// Stores and counts what a decision in a moved slot means for the packets that follow.
#[inline(always)]
fn remember<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    flow: &Flow,
    decision: Decision,
    backend: BackendId,
) {
    match decision {
        Decision::New | Decision::Affinity => {
            tables.flow_store(FlowTable::Opened, &flow.key, backend);
            tables.count_event(vip.index, Event::FlowOpened);
        }
        Decision::Previous => {
            tables.flow_store(FlowTable::Missed, &flow.key, backend);
            tables.count_event(vip.index, Event::MissPrevious);
        }
        Decision::Current => tables.count_event(vip.index, Event::MissCurrent),
        Decision::Tracked => tables.count_event(vip.index, Event::TrackedHit),
        _ => {}
    }
    affinity::remember(tables, vip, flow, decision, backend);
}

/// The living backend that a tracked flow belongs to. A record of a dead or replaced backend is a
/// miss. Flows that were seen to open come first: the ports may have belonged to an older flow.
#[inline(always)]
fn tracked<'t, T: Tables>(tables: &'t T, flow: &Flow) -> Option<&'t BackendEntry> {
    let find = |table| {
        let id = tables.flow_hit(table, &flow.key, flow.closes)?;
        still_living(tables, id)
    };
    find(FlowTable::Opened).or_else(|| find(FlowTable::Missed))
}

/// The backend at an index, if established flows may stay there.
#[inline(always)]
fn living<T: Tables>(tables: &T, index: u32) -> Option<&BackendEntry> {
    if index == 0 {
        return None;
    }
    tables.backend(index).filter(|backend| backend.is_alive())
}

/// The backend that the ring names.
#[inline(always)]
fn occupied<T: Tables>(tables: &T, index: u32) -> Result<&BackendEntry, Outcome> {
    if index == 0 {
        return Err(Outcome::DropNoBackend);
    }
    let backend = tables.backend(index).ok_or(Outcome::DropBackendStale)?;
    if !backend.is_alive() {
        return Err(Outcome::DropNoBackend);
    }
    if backend.id.index() != index {
        return Err(Outcome::DropBackendStale);
    }
    Ok(backend)
}
