//! Maps in memory that behave as the kernel's do, without eviction. Depends on nothing but
//! `lb_common`: the fuzz target uses it too.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
};

use lb_common::{
    abi::{
        BackendEntry, BackendId, FLOW_FLAG_CLOSING, Features, FlowEntry, FlowKey, FragmentEntry,
        FragmentKey, NatEntry, NatReverse, NextHop, VipEntry, VipKey4, VipKey6, Words,
    },
    limits::FRAGMENT_LIFETIME_NS,
    packet::{Ip, PacketView as _},
    path,
    tables::{FlowTable, Owed, Route, RouteStatus, Tables},
    verdict::{Event, Outcome, Verdict},
};

use super::frame::MemoryFrame;

/// The maps, the globals and what the host would say.
#[derive(Debug)]
pub struct MemoryTables {
    /// Loaded parts of the path.
    pub features: Features,
    /// Flow-hash seed.
    pub seed: u64,
    /// Source ports of full NAT: first and count.
    pub nat_ports: (u16, u16),
    /// The host's routes.
    pub route: fn(&Words) -> Route,
    /// The clock, nanoseconds.
    pub now_ns: u64,
    /// IPv4 VIPs.
    pub vips4: HashMap<VipKey4, VipEntry>,
    /// IPv6 VIPs.
    pub vips6: HashMap<VipKey6, VipEntry>,
    /// Source ranges: VIP index, network and length in bits of the 128.
    pub sources: Vec<(u32, Words, u32)>,
    /// Rings by VIP index; slots beyond the given ones are zero.
    pub rings: HashMap<u32, Vec<u32>>,
    /// Previous backends by VIP index, as `rings`.
    pub previous: HashMap<u32, Vec<u32>>,
    /// Backends by index; others are free.
    pub backends: HashMap<u32, BackendEntry>,
    /// Flows stored by a SYN.
    pub opened: RefCell<HashMap<FlowKey, FlowEntry>>,
    /// Flows stored by a miss.
    pub missed: RefCell<HashMap<FlowKey, FlowEntry>>,
    /// Translated flows.
    pub nat: RefCell<HashMap<FlowKey, NatEntry>>,
    /// Translated flows, the way back.
    pub reverse: RefCell<HashMap<FlowKey, NatReverse>>,
    /// Fragmented datagrams.
    pub fragments: RefCell<HashMap<FragmentKey, FragmentEntry>>,
    /// The packet on its way through a detour.
    pub kept: Cell<Option<Ip>>,
    /// What is left to do with that packet.
    pub owed: Cell<Option<Owed>>,
    /// Counters by name; see `delta.rs`.
    pub counters: RefCell<BTreeMap<String, u64>>,
}

impl MemoryTables {
    /// Empty maps under the given globals.
    pub fn new(features: Features, seed: u64, nat_ports: (u16, u16)) -> Self {
        Self {
            features,
            seed,
            nat_ports,
            route: |_| Route::missing(RouteStatus::None, 0),
            now_ns: 0,
            vips4: HashMap::new(),
            vips6: HashMap::new(),
            sources: Vec::new(),
            rings: HashMap::new(),
            previous: HashMap::new(),
            backends: HashMap::new(),
            opened: RefCell::default(),
            missed: RefCell::default(),
            nat: RefCell::default(),
            reverse: RefCell::default(),
            fragments: RefCell::default(),
            kept: Cell::default(),
            owed: Cell::default(),
            counters: RefCell::default(),
        }
    }

    /// Runs the path over a frame and counts the verdict as the kernel program does.
    pub fn process(&self, frame: &mut MemoryFrame) -> Verdict {
        let frame_bytes = frame.length() as u64;
        let verdict = path::process(frame, self).unpack();
        let (name, prefix) = match verdict {
            Verdict::Pass(o) | Verdict::Drop(o) | Verdict::Answer(o) => {
                (format!("outcome[{}]", o.name()), "")
            }
            Verdict::Proxy { vip } => {
                self.count(format!("vip[{vip}].proxied"), 1);
                self.count(format!("vip[{vip}].proxied_bytes"), frame_bytes);
                (format!("outcome[{}]", Outcome::PassToProxy.name()), "")
            }
            Verdict::Forward { backend, reply, .. } => {
                (format!("backend[{backend}]"), if reply { "reply_" } else { "" })
            }
        };
        self.count(format!("{name}.{prefix}packets"), 1);
        self.count(format!("{name}.{prefix}bytes"), frame_bytes);
        verdict
    }

    fn count(&self, name: String, amount: u64) {
        *self.counters.borrow_mut().entry(name).or_default() += amount;
    }

    fn flows(&self, table: FlowTable) -> &RefCell<HashMap<FlowKey, FlowEntry>> {
        match table {
            FlowTable::Opened => &self.opened,
            FlowTable::Missed => &self.missed,
        }
    }
}

impl Tables for MemoryTables {
    fn features(&self) -> Features {
        self.features
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn nat_ports(&self) -> (u16, u16) {
        self.nat_ports
    }

    fn vip4(&self, key: &VipKey4) -> Option<VipEntry> {
        self.vips4.get(key).copied()
    }

    fn vip6(&self, key: &VipKey6) -> Option<VipEntry> {
        self.vips6.get(key).copied()
    }

    fn ring_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.rings.get(&vip).map(|ring| ring.get(slot as usize).copied().unwrap_or(0))
    }

    fn previous_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.previous.get(&vip).map(|ring| ring.get(slot as usize).copied().unwrap_or(0))
    }

    fn backend(&self, index: u32) -> Option<&BackendEntry> {
        static FREE: BackendEntry = BackendEntry {
            id: BackendId(0),
            state: 0,
            mode: 0,
            is_ipv4: 0,
            pad: 0,
            address: [0; 4],
            source: [0; 4],
            next_hop: NextHop::new(0, [0; 6], [0; 6]),
            port: 0,
            mtu: 0,
            vip: 0,
        };
        Some(self.backends.get(&index).unwrap_or(&FREE))
    }

    fn source_allowed(&self, vip: u32, address: &Words) -> bool {
        let is_in = |(of, network, bits): &(u32, Words, u32)| {
            let beyond = (number(network) ^ number(address)).leading_zeros();
            *of == vip && beyond >= *bits
        };
        self.sources.iter().any(is_in)
    }

    fn flow_hit(&self, table: FlowTable, key: &FlowKey, closes: bool) -> Option<BackendId> {
        let mut flows = self.flows(table).borrow_mut();
        let entry = flows.get_mut(key)?;
        entry.flags |= if closes { FLOW_FLAG_CLOSING } else { 0 };
        Some(entry.backend)
    }

    fn flow_store(&self, table: FlowTable, key: &FlowKey, backend: BackendId) {
        let entry = FlowEntry::new(backend, self.now_ns());
        self.flows(table).borrow_mut().insert(*key, entry);
    }

    fn nat_hit(&self, key: &FlowKey, closes: bool) -> Option<NatEntry> {
        let mut nat = self.nat.borrow_mut();
        let entry = nat.get_mut(key)?;
        entry.flags |= if closes { FLOW_FLAG_CLOSING } else { 0 };
        Some(*entry)
    }

    fn nat_store(&self, key: &FlowKey, entry: &NatEntry) {
        self.nat.borrow_mut().insert(*key, *entry);
    }

    fn nat_reverse_hit(&self, key: &FlowKey, closes: bool) -> Option<NatReverse> {
        let mut reverse = self.reverse.borrow_mut();
        let entry = reverse.get_mut(key)?;
        entry.flags |= if closes { FLOW_FLAG_CLOSING } else { 0 };
        Some(*entry)
    }

    fn nat_reverse_claim(&self, key: &FlowKey, entry: &NatReverse) -> bool {
        let mut reverse = self.reverse.borrow_mut();
        reverse.entry(*key).or_insert(*entry).is_flow_of(entry)
    }

    fn fragment_hit(&self, key: &FragmentKey) -> Option<FragmentEntry> {
        let entry = self.fragments.borrow().get(key).copied()?;
        let age_ns = self.now_ns().saturating_sub(entry.learnt_ns);
        (age_ns < FRAGMENT_LIFETIME_NS).then_some(entry)
    }

    fn fragment_store(&self, key: &FragmentKey, entry: &FragmentEntry) -> bool {
        self.fragments.borrow_mut().insert(*key, *entry);
        true
    }

    fn route(&self, destination: &Words, _is_ipv4: bool, _length: u16) -> Route {
        (self.route)(destination)
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn keep(&self, ip: &Ip) {
        self.kept.set(Some(*ip));
    }

    fn kept(&self) -> Option<Ip> {
        self.kept.get()
    }

    fn owe(&self, owed: &Owed) {
        self.owed.set(Some(*owed));
    }

    fn owed(&self) -> Option<Owed> {
        self.owed.get()
    }

    fn count_event(&self, vip: u32, event: Event) {
        self.count(format!("vip[{vip}].{}", event_name(event)), 1);
    }
}

/// An address as one number.
fn number(words: &Words) -> u128 {
    words.iter().fold(0, |number, word| number << 32 | u128::from(u32::from_be(*word)))
}

/// The name of an event's counter.
pub const fn event_name(event: Event) -> &'static str {
    match event {
        Event::TrackedHit => "tracked_hits",
        Event::MissPrevious => "misses_previous",
        Event::MissCurrent => "misses_current",
        Event::FlowOpened => "flows_opened",
        Event::IcmpRouted => "icmp_routed",
        Event::FragmentLearnt => "fragments_learnt",
        Event::SourceRefused => "sources_refused",
    }
}
