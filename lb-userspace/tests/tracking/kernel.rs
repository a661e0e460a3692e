//! The kernel's own rule (`balance::pick`), over map contents and flow tables in memory.

use lb_common::{
    abi::{
        BackendEntry, BackendId, Features, FlowKey, FragmentEntry, FragmentKey, NatEntry,
        NatReverse, SLOT_MOVED, VipEntry, VipKey4, VipKey6, Words,
    },
    balance::{Flow as Packet, hash, pick, slot_of, still_living},
    packet::Ip,
    tables::{FlowTable, Owed, Route, Tables as PathTables},
    verdict::Event,
};
use lb_userspace::reconcile::Tables;
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
};

const SEED: u64 = 1;

#[derive(Default)]
pub(crate) struct Kernel {
    pub(crate) maps: Tables,
    opened: RefCell<Flows>,
    missed: RefCell<Flows>,
    now_ms: Cell<u64>,
}

type Flows = HashMap<FlowKey, Tracked>;

#[derive(Clone, Copy)]
struct Tracked {
    vip: u32,
    backend: BackendId,
    last_seen_ms: u64,
}

impl Kernel {
    /// Where a packet goes, with its effect on the flow tables.
    pub(crate) fn pick(
        &self,
        vip: &VipEntry,
        key: FlowKey,
        opens: bool,
        now_ms: u64,
    ) -> Option<BackendId> {
        self.now_ms.set(now_ms);
        let packet = Packet { key, is_ipv4: true, opens, closes: false, stores: true };
        pick(self, vip, &packet).ok().map(|pick| pick.backend.id)
    }

    /// The current and the previous backend index of a slot.
    pub(crate) fn slot(&self, vip: &VipEntry, slot: u32) -> Option<(u32, u32)> {
        let word = self.ring_slot(vip.index, slot)?;
        let is_moved = word & SLOT_MOVED != 0;
        let previous = self.previous_slot(vip.index, slot).filter(|_| is_moved);
        Some((word & !SLOT_MOVED, previous.unwrap_or(0)))
    }

    /// Forgets flows that idled out, and tells where marks are needed.
    pub(crate) fn sweep(&self, now_ms: u64, idle_timeout_ms: u64) -> BTreeMap<u32, BTreeSet<u32>> {
        let vips: BTreeMap<u32, VipEntry> =
            self.maps.vips.values().map(|entry| (entry.index, *entry)).collect();
        let mut held: BTreeMap<u32, BTreeSet<u32>> =
            vips.keys().map(|index| (*index, BTreeSet::new())).collect();
        for flows in [&self.opened, &self.missed] {
            flows.borrow_mut().retain(|_, flow| flow.last_seen_ms + idle_timeout_ms > now_ms);
            for (key, flow) in flows.borrow().iter() {
                if still_living(self, flow.backend).is_none() {
                    continue;
                }
                let slot = slot_of(flow_hash(key), vips[&flow.vip].ring_slots);
                let current = self.slot(&vips[&flow.vip], slot).map(|(current, _)| current);
                if current != Some(flow.backend.index()) {
                    held.entry(flow.vip).or_default().insert(slot);
                }
            }
        }
        held
    }

    fn flows(&self, table: FlowTable) -> &RefCell<Flows> {
        match table {
            FlowTable::Opened => &self.opened,
            FlowTable::Missed => &self.missed,
        }
    }
}

fn flow_hash(key: &FlowKey) -> u32 {
    hash::flow(SEED, true, &key.source, key.source_port, key.destination_port)
}

impl PathTables for Kernel {
    fn features(&self) -> Features {
        Features::ALL
    }

    fn seed(&self) -> u64 {
        SEED
    }

    fn ring_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.maps.rings.get(&vip)?.get(slot as usize).copied()
    }

    fn previous_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.maps.previous.get(&vip)?.get(slot as usize).copied()
    }

    fn backend(&self, index: u32) -> Option<&BackendEntry> {
        self.maps.backends.get(&index).map(|row| &row.entry)
    }

    fn flow_hit(&self, table: FlowTable, key: &FlowKey, _closes: bool) -> Option<BackendId> {
        let mut flows = self.flows(table).borrow_mut();
        let flow = flows.get_mut(key)?;
        flow.last_seen_ms = self.now_ms.get();
        Some(flow.backend)
    }

    fn flow_store(&self, table: FlowTable, key: &FlowKey, backend: BackendId) {
        let vip = self.maps.backends[&backend.index()].entry.vip;
        let flow = Tracked { vip, backend, last_seen_ms: self.now_ms.get() };
        self.flows(table).borrow_mut().insert(*key, flow);
    }

    fn count_event(&self, _vip: u32, _event: Event) {}

    fn now_ns(&self) -> u64 {
        self.now_ms.get() * 1_000_000
    }

    fn nat_ports(&self) -> (u16, u16) {
        unreachable!("pick does not translate")
    }

    fn vip4(&self, _key: &VipKey4) -> Option<VipEntry> {
        unreachable!("pick is given the VIP")
    }

    fn vip6(&self, _key: &VipKey6) -> Option<VipEntry> {
        unreachable!("pick is given the VIP")
    }

    fn source_allowed(&self, _vip: u32, _address: &Words) -> bool {
        unreachable!("pick is given who is let in")
    }

    fn nat_hit(&self, _key: &FlowKey, _closes: bool) -> Option<NatEntry> {
        unreachable!("pick does not translate")
    }

    fn nat_store(&self, _key: &FlowKey, _entry: &NatEntry) {
        unreachable!("pick does not translate")
    }

    fn nat_reverse_hit(&self, _key: &FlowKey, _closes: bool) -> Option<NatReverse> {
        unreachable!("pick does not translate")
    }

    fn nat_reverse_claim(&self, _key: &FlowKey, _entry: &NatReverse) -> bool {
        unreachable!("pick does not translate")
    }

    fn fragment_hit(&self, _key: &FragmentKey) -> Option<FragmentEntry> {
        unreachable!("pick knows no fragments")
    }

    fn fragment_store(&self, _key: &FragmentKey, _entry: &FragmentEntry) -> bool {
        unreachable!("pick knows no fragments")
    }

    fn keep(&self, _ip: &Ip) {
        unreachable!("pick keeps no packet")
    }

    fn kept(&self) -> Option<Ip> {
        unreachable!("pick keeps no packet")
    }

    fn owe(&self, _owed: &Owed) {}

    fn owed(&self) -> Option<Owed> {
        unreachable!("pick translates nothing")
    }

    fn route(&self, _destination: &Words, _is_ipv4: bool, _length: u16) -> Route {
        unreachable!("pick does not route")
    }
}
