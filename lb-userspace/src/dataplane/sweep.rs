//! Forgets flows that are over, and finds out which moved slots still hold flows.
//!
//! A round goes through every flow table, a piece per [`Dataplane::sweep`], so that the caller
//! stays responsive with millions of flows. A round that another configuration overtook begins
//! again: its findings would be about rings that are gone.

use super::{
    Dataplane, bulk,
    bulk::Cursor,
    error::Result,
    maps::{find, remove},
};
use lb_common::abi::{
    BackendEntry, BackendId, FLOW_FLAG_CLOSING, FlowEntry, FlowKey, NatEntry, NatReverse,
    SLOT_MOVED, VipEntry,
};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a flow is remembered after a FIN or RST: TCP's TIME-WAIT on Linux
/// (`TCP_TIMEWAIT_LEN`, 60 s).
const CLOSING_NS: u64 = 60_000_000_000;

/// The ring slot of a flow: its key, its VIP's entry, the seed. The kernel's own function.
pub type SlotOf = fn(&FlowKey, &VipEntry, u64) -> u32;

/// Where a sweep stands.
pub struct Sweeper {
    slot_of: SlotOf,
    round: Option<Round>,
}

/// What one [`Dataplane::sweep`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepProgress {
    /// The round goes on.
    Pending,
    /// The round is over; the next call begins another.
    Done(SweepReport),
}

/// What a whole round found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The generation in force from before the round began until it ended.
    pub generation: u64,
    /// Live tracked flows by VIP index, of VIPs that have any.
    pub flow_counts: BTreeMap<u32, u64>,
    /// Live translated flows by VIP index, of VIPs that have any.
    pub nat_counts: BTreeMap<u32, u64>,
    /// By index, for every VIP with a moved slot: slots with a live tracked flow on another
    /// backend than the slot's current one.
    pub held_slots: BTreeMap<u32, BTreeSet<u32>>,
    /// Entries forgotten.
    pub forgotten_count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Syn,
    Miss,
    Nat,
    NatReverse,
}

struct Round {
    stage: Stage,
    cursor: Cursor,
    now_ns: u64,
    seed: u64,
    vips: BTreeMap<u32, VipView>,
    backends: HashMap<u32, BackendEntry>,
    report: SweepReport,
}

struct VipView {
    entry: VipEntry,
    /// The ring, if a slot of it has moved.
    ring: Option<Vec<u32>>,
}

impl Sweeper {
    /// A sweep that has not begun.
    pub fn new(slot_of: SlotOf) -> Self {
        Self { slot_of, round: None }
    }
}

impl Dataplane {
    /// Goes through the next piece of the flow tables (a few thousand entries).
    pub fn sweep(&mut self, sweeper: &mut Sweeper) -> Result<SweepProgress> {
        let generation = self.maps.load_info()?.generation;
        let mut round = match sweeper.round.take() {
            Some(round) if round.report.generation == generation => round,
            _ => self.begin_round()?,
        };
        let next = match round.stage {
            Stage::Syn | Stage::Miss => self.sweep_flows(&mut round, sweeper.slot_of)?,
            Stage::Nat => self.sweep_nat(&mut round)?,
            Stage::NatReverse => self.sweep_nat_reverse(&mut round)?,
        };
        match (next, round.stage.next()) {
            (Some(cursor), _) => round.cursor = cursor,
            (None, Some(stage)) => {
                round.stage = stage;
                round.cursor = Cursor::default();
            }
            (None, None) => return Ok(SweepProgress::Done(round.report)),
        }
        sweeper.round = Some(round);
        Ok(SweepProgress::Pending)
    }

    fn begin_round(&self) -> Result<Round> {
        let info = self.maps.load_info()?;
        let mut report = SweepReport { generation: info.generation, ..SweepReport::default() };
        let mut vips = BTreeMap::new();
        for (index, (_, entry)) in self.vips_by_index()? {
            let ring = self.maps.rings.read(index, entry.ring_slots)?;
            let ring = ring.filter(|ring| ring.iter().any(|word| word & SLOT_MOVED != 0));
            if ring.is_some() {
                report.held_slots.insert(index, BTreeSet::new());
            }
            vips.insert(index, VipView { entry, ring });
        }
        let mut backends = HashMap::new();
        for index in self.names()?.into_keys() {
            backends.insert(index, self.maps.backend(index)?);
        }
        Ok(Round {
            stage: Stage::Syn,
            cursor: Cursor::default(),
            now_ns: now_ns(),
            seed: info.seed,
            vips,
            backends,
            report,
        })
    }

    fn sweep_flows(&mut self, round: &mut Round, slot_of: SlotOf) -> Result<Option<Cursor>> {
        let (map, name) = match round.stage {
            Stage::Syn => (&mut self.maps.flows_syn, "lb_flows_syn"),
            _ => (&mut self.maps.flows_miss, "lb_flows_miss"),
        };
        let (entries, next) = bulk::read::<FlowKey, FlowEntry>(map, round.cursor, name)?;
        for (key, entry) in entries {
            match round.vip_of(entry.backend) {
                Some(vip) if !round.is_over(vip, entry.last_seen_ns, entry.flags) => {
                    *round.report.flow_counts.entry(vip).or_default() += 1;
                    round.note_held(vip, &key, entry.backend, slot_of);
                }
                _ => {
                    remove(map, &key, name)?;
                    round.report.forgotten_count += 1;
                }
            }
        }
        Ok(next)
    }

    fn sweep_nat(&mut self, round: &mut Round) -> Result<Option<Cursor>> {
        let (entries, next) =
            bulk::read::<FlowKey, NatEntry>(&self.maps.nat, round.cursor, "lb_nat")?;
        for (key, entry) in entries {
            let backend = round.backends.get(&entry.backend.index()).copied();
            let reverse = backend.map(|backend| reverse_key(&key, &entry, &backend));
            let reply = match &reverse {
                Some(reverse) => find(&self.maps.nat_reverse, reverse, "lb_nat_reverse")?,
                None => None,
            };
            // Both directions are one flow: it lives while either does.
            let last_seen_ns = reply.map_or(0, |reply| reply.last_seen_ns).max(entry.last_seen_ns);
            let flags = entry.flags | reply.map_or(0, |reply| reply.flags);
            match round.vip_of(entry.backend) {
                Some(vip) if !round.is_over(vip, last_seen_ns, flags) => {
                    *round.report.nat_counts.entry(vip).or_default() += 1;
                }
                _ => {
                    remove(&mut self.maps.nat, &key, "lb_nat")?;
                    if let Some(reverse) = reverse {
                        remove(&mut self.maps.nat_reverse, &reverse, "lb_nat_reverse")?;
                    }
                    round.report.forgotten_count += 1;
                }
            }
        }
        Ok(next)
    }

    /// Replies whose forward direction is gone (it was evicted, or its backend was).
    fn sweep_nat_reverse(&mut self, round: &mut Round) -> Result<Option<Cursor>> {
        let map = &self.maps.nat_reverse;
        let (entries, next) =
            bulk::read::<FlowKey, NatReverse>(map, round.cursor, "lb_nat_reverse")?;
        for (key, entry) in entries {
            let forward = forward_key(&key, &entry);
            if find(&self.maps.nat, &forward, "lb_nat")?.is_some() {
                continue;
            }
            let is_over = round
                .vip_of(entry.backend)
                .is_none_or(|vip| round.is_over(vip, entry.last_seen_ns, entry.flags));
            if is_over {
                remove(&mut self.maps.nat_reverse, &key, "lb_nat_reverse")?;
                round.report.forgotten_count += 1;
            }
        }
        Ok(next)
    }
}

impl Stage {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Syn => Some(Self::Miss),
            Self::Miss => Some(Self::Nat),
            Self::Nat => Some(Self::NatReverse),
            Self::NatReverse => None,
        }
    }
}

impl Round {
    /// VIP of a backend that may keep flows; `None` = it is gone or dead.
    fn vip_of(&self, backend: BackendId) -> Option<u32> {
        let entry = self.backends.get(&backend.index())?;
        let is_kept = entry.id == backend && entry.is_alive() && self.vips.contains_key(&entry.vip);
        is_kept.then_some(entry.vip)
    }

    fn is_over(&self, vip: u32, last_seen_ns: u64, flags: u32) -> bool {
        let idle_s = self.vips.get(&vip).map_or(0, |vip| vip.entry.idle_timeout_s);
        is_over(self.now_ns, last_seen_ns, flags, idle_s)
    }

    fn note_held(&mut self, vip: u32, key: &FlowKey, backend: BackendId, slot_of: SlotOf) {
        let Some(view) = self.vips.get(&vip) else { return };
        let Some(ring) = &view.ring else { return };
        let slot = slot_of(key, &view.entry, self.seed);
        let word = ring.get(slot as usize).copied().unwrap_or_default();
        if word & !SLOT_MOVED != backend.index() {
            self.report.held_slots.entry(vip).or_default().insert(slot);
        }
    }
}

fn is_over(now_ns: u64, last_seen_ns: u64, flags: u32, idle_timeout_s: u32) -> bool {
    let idle_ns = u64::from(idle_timeout_s).saturating_mul(1_000_000_000);
    let limit_ns = if flags & FLOW_FLAG_CLOSING == 0 { idle_ns } else { idle_ns.min(CLOSING_NS) };
    now_ns.saturating_sub(last_seen_ns) > limit_ns
}

/// The key under which the replies of a translated flow are found.
fn reverse_key(key: &FlowKey, entry: &NatEntry, backend: &BackendEntry) -> FlowKey {
    FlowKey {
        source: backend.address,
        destination: entry.source,
        // An all-ports VIP keeps the client's port unless the backend has its own.
        source_port: if backend.port == 0 { key.destination_port } else { backend.port },
        destination_port: entry.source_port,
        protocol: key.protocol,
        pad: 0,
        pad2: 0,
    }
}

/// The key of the flow that a reply belongs to.
fn forward_key(key: &FlowKey, entry: &NatReverse) -> FlowKey {
    FlowKey {
        source: entry.client,
        destination: entry.vip,
        source_port: entry.client_port,
        destination_port: entry.vip_port,
        protocol: key.protocol,
        pad: 0,
        pad2: 0,
    }
}

/// The clock of `bpf_ktime_get_coarse_ns`, to within a tick.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec.cast_unsigned())
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_flow_is_over_when_idle_or_a_minute_after_its_end() {
        assert!(!is_over(400 * S, 100 * S, 0, 300));
        assert!(is_over(401 * S, 100 * S, 0, 300));
        assert!(!is_over(160 * S, 100 * S, FLOW_FLAG_CLOSING, 300));
        assert!(is_over(161 * S, 100 * S, FLOW_FLAG_CLOSING, 300));
        assert!(is_over(131 * S, 100 * S, FLOW_FLAG_CLOSING, 30));
        // Seen after the round began.
        assert!(!is_over(100 * S, 101 * S, 0, 30));
    }

    #[test]
    fn both_directions_of_a_translated_flow_name_each_other() {
        let key = FlowKey {
            source: [1; 4],
            destination: [2; 4],
            source_port: 3,
            destination_port: 4,
            protocol: 6,
            pad: 0,
            pad2: 0,
        };
        let entry = NatEntry { source: [5; 4], source_port: 6, ..NatEntry::default() };
        let backend = BackendEntry { address: [7; 4], port: 8, ..BackendEntry::default() };
        let reverse = reverse_key(&key, &entry, &backend);
        assert_eq!((reverse.source, reverse.source_port), ([7; 4], 8));
        assert_eq!((reverse.destination, reverse.destination_port), ([5; 4], 6));
        let reply = NatReverse {
            client: [1; 4],
            vip: [2; 4],
            client_port: 3,
            vip_port: 4,
            ..NatReverse::default()
        };
        assert_eq!(forward_key(&reverse, &reply), key);
    }
}
