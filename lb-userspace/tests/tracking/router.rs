//! A router: map contents, flow tables, and the kernel's rule over them in plain words.

use lb_common::abi::{BackendId, SLOT_MOVED};
use lb_userspace::{
    model::{Desired, Protocol, Vip},
    reconcile::{Image, Observed, Op, Plan, Tables, apply, compile, diff},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Flow {
    pub(crate) vip: Vip,
    pub(crate) hash: u32,
}

#[derive(Clone, Copy)]
struct Tracked {
    backend: BackendId,
    last_seen_ms: u64,
}

#[derive(Default)]
pub(crate) struct Router {
    pub(crate) image: Image,
    pub(crate) tables: Tables,
    opened: HashMap<Flow, Tracked>,
    missed: HashMap<Flow, Tracked>,
}

impl Router {
    pub(crate) fn plan(&mut self, desired: &Desired, observed: &Observed) -> Plan {
        let next = compile(desired, observed, &self.image).expect("the model is valid").image;
        let plan = diff(&self.image, &next);
        self.image = next;
        plan
    }

    pub(crate) fn take(&mut self, op: &Op) {
        apply(&Plan { ops: vec![op.clone()] }, &mut self.tables).expect("infallible");
        self.check_pointers(op);
    }

    pub(crate) fn check_applied(&self) {
        assert_eq!(self.tables.image(), self.image, "applying the difference gives the image");
        assert!(self.tables.leftovers().is_empty());
    }

    /// The kernel's decision, with its effect on the flow tables.
    pub(crate) fn pick(&mut self, flow: Flow, is_syn: bool, now_ms: u64) -> Option<BackendId> {
        let (word, previous) = self.slot(flow)?;
        let current = self.occupant(word & !SLOT_MOVED);
        if word & SLOT_MOVED == 0 {
            return current;
        }
        if is_syn {
            let backend = current?;
            self.opened.insert(flow, Tracked { backend, last_seen_ms: now_ms });
            return current;
        }
        for table in [&mut self.opened, &mut self.missed] {
            let Some(tracked) = table.get_mut(&flow) else { continue };
            if is_alive(&self.tables, tracked.backend) {
                tracked.last_seen_ms = now_ms;
                return Some(tracked.backend);
            }
        }
        if let Some(backend) = self.occupant(previous).filter(|id| is_alive(&self.tables, *id)) {
            self.missed.insert(flow, Tracked { backend, last_seen_ms: now_ms });
            return Some(backend);
        }
        current
    }

    /// Where a flow that no router tracks would go: its slot's word without the mark, and where
    /// a packet in its middle would.
    pub(crate) fn untracked(&self, flow: Flow) -> Option<(u32, u32)> {
        let (word, previous) = self.slot(flow)?;
        let current = word & !SLOT_MOVED;
        let is_previous = word & SLOT_MOVED != 0 && previous != 0;
        Some((current, if is_previous { previous } else { current }))
    }

    /// Forgets flows that idled out, and tells where marks are needed.
    pub(crate) fn sweep(
        &mut self,
        now_ms: u64,
        idle_timeout_ms: u64,
    ) -> BTreeMap<u32, BTreeSet<u32>> {
        for flows in [&mut self.opened, &mut self.missed] {
            flows.retain(|_, tracked| tracked.last_seen_ms + idle_timeout_ms > now_ms);
        }
        let indexes = self.tables.vips.values().map(|entry| (entry.index, BTreeSet::new()));
        let mut held: BTreeMap<u32, BTreeSet<u32>> = indexes.collect();
        for (flow, tracked) in self.opened.iter().chain(&self.missed) {
            let Some(entry) = self.tables.vips.get(&flow.vip) else { continue };
            let current = self.slot(*flow).map(|(word, _)| word & !SLOT_MOVED);
            let is_elsewhere = current != Some(tracked.backend.index());
            if is_elsewhere && is_alive(&self.tables, tracked.backend) {
                held.entry(entry.index).or_default().insert(flow.hash % entry.ring_slots);
            }
        }
        held
    }

    pub(crate) fn moved_count(&self) -> usize {
        self.image.vips.values().map(|vip| vip.ring.moved_count()).sum()
    }

    fn slot(&self, flow: Flow) -> Option<(u32, u32)> {
        let entry = self.tables.vips.get(&flow.vip)?;
        let slot = (flow.hash % entry.ring_slots) as usize;
        let word = *self.tables.rings.get(&entry.index)?.get(slot)?;
        let previous = self.tables.previous.get(&entry.index).map_or(0, |table| table[slot]);
        Some((word, previous))
    }

    fn occupant(&self, index: u32) -> Option<BackendId> {
        (index != 0).then(|| self.tables.backends[&index].entry.id)
    }

    /// At every instant, what a ring names exists and belongs to its VIP.
    fn check_pointers(&self, op: &Op) {
        for (vip, ring) in self.tables.rings.iter().chain(&self.tables.previous) {
            for index in ring.iter().map(|word| word & !SLOT_MOVED).filter(|index| *index != 0) {
                let row = self.tables.backends.get(&index);
                assert!(row.is_some_and(|row| row.entry.vip == *vip), "after {op:?}");
            }
        }
        for (vip, entry) in &self.tables.vips {
            assert!(self.tables.markers.contains(&vip.address), "after {op:?}");
            assert!(self.tables.infos.contains_key(&entry.index), "after {op:?}");
        }
    }
}

fn is_alive(tables: &Tables, id: BackendId) -> bool {
    let row = tables.backends.get(&id.index());
    row.is_some_and(|row| row.entry.id == id && row.entry.is_alive())
}

pub(crate) fn vip(protocol: Protocol) -> Vip {
    Vip { address: [192, 0, 2, 10].into(), port: 80, protocol }
}
