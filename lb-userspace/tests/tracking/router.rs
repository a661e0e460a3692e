//! A router: the reconciler, and the kernel's rule over what it writes.

use crate::kernel::Kernel;
use lb_common::abi::{BackendId, FlowKey, SLOT_MOVED, mapped};
use lb_userspace::{
    model::{Desired, Protocol, Vip},
    reconcile::{Image, Observed, Op, Plan, apply, compile, diff},
};
use std::collections::{BTreeMap, BTreeSet};

/// A flow: a client's number and the VIP it talks to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flow {
    pub(crate) vip: Vip,
    pub(crate) client: u32,
}

#[derive(Default)]
pub(crate) struct Router {
    pub(crate) image: Image,
    pub(crate) kernel: Kernel,
}

impl Router {
    pub(crate) fn plan(&mut self, desired: &Desired, observed: &Observed) -> Plan {
        let next = compile(desired, observed, &self.image).expect("the model is valid").image;
        let plan = diff(&self.image, &next);
        self.image = next;
        plan
    }

    pub(crate) fn take(&mut self, op: &Op) {
        apply(&Plan { ops: vec![op.clone()] }, &mut self.kernel.maps).expect("infallible");
        self.check_pointers(op);
    }

    pub(crate) fn check_applied(&self) {
        let maps = &self.kernel.maps;
        assert_eq!(maps.image(), self.image, "applying the difference gives the image");
        assert!(maps.leftovers().is_empty());
    }

    /// Where a packet of the flow goes.
    pub(crate) fn pick(&self, flow: Flow, opens: bool, now_ms: u64) -> Option<BackendId> {
        let entry = self.kernel.maps.vips.get(&flow.vip)?;
        let key = FlowKey {
            source: mapped(flow.client),
            source_port: 40_000,
            destination_port: flow.vip.port.to_be(),
            protocol: flow.vip.protocol.number(),
            ..FlowKey::default()
        };
        self.kernel.pick(entry, key, opens, now_ms)
    }

    /// The current and the previous backend index of a slot: all that an untracked flow's way
    /// depends on.
    pub(crate) fn untracked(&self, vip: Vip, slot: u32) -> Option<(u32, u32)> {
        self.kernel.slot(self.kernel.maps.vips.get(&vip)?, slot)
    }

    pub(crate) fn sweep(&self, now_ms: u64, idle_ms: u64) -> BTreeMap<u32, BTreeSet<u32>> {
        self.kernel.sweep(now_ms, idle_ms)
    }

    pub(crate) fn moved_count(&self) -> usize {
        self.image.vips.values().map(|vip| vip.ring.moved_count()).sum()
    }

    /// At every instant, what a ring names exists and belongs to its VIP.
    fn check_pointers(&self, op: &Op) {
        let maps = &self.kernel.maps;
        for (vip, ring) in maps.rings.iter().chain(&maps.previous) {
            for index in ring.iter().map(|word| word & !SLOT_MOVED).filter(|index| *index != 0) {
                let row = maps.backends.get(&index);
                assert!(row.is_some_and(|row| row.entry.vip == *vip), "after {op:?}");
            }
        }
        for (vip, entry) in &maps.vips {
            assert!(maps.markers.contains(&vip.address), "after {op:?}");
            assert!(maps.infos.contains_key(&entry.index), "after {op:?}");
        }
    }
}

pub(crate) fn vip(protocol: Protocol) -> Vip {
    Vip { address: [192, 0, 2, 10].into(), port: 80, protocol }
}
