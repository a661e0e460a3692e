//! The maps as `Tables`. `Live` changes them; `Dry` only reads and notes the decisions, for traces.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    btf_maps::lpm_trie::Key,
    helpers::bpf_ktime_get_coarse_ns,
    programs::XdpContext,
};
use lb_common::{
    abi::{
        BackendEntry, BackendId, FLOW_FLAG_CLOSING, Features, FlowEntry, FlowKey, FragmentEntry,
        FragmentKey, NatEntry, NatReverse, RingTable, SOURCE_BITS, SourceRange, TraceRecord,
        VipEntry, VipKey4, VipKey6, Words, copied,
    },
    limits::{FRAGMENT_LIFETIME_NS, RING_SLOTS_MAX},
    packet::Ip,
    tables::{FlowTable, Owed, Route, Tables},
    verdict::Event,
};

use crate::{
    context::{Frame, opaque},
    count, fib, globals,
    maps::{
        BACKEND_TABLE, FLOWS_MISSED, FLOWS_OPENED, FRAGMENT_TABLE, NAT, NAT_REVERSE, PREVIOUS,
        RINGS, SOURCES, VIPS4, VIPS6,
    },
    scratch::{keep, kept, owe, owed},
};

/// The maps, changed as packets pass.
pub struct Live<'c> {
    ctx: &'c XdpContext,
}

/// The maps, only read; decisions go into the record in front of the packet.
pub struct Dry<'c> {
    live: Live<'c>,
}

impl<'c> Live<'c> {
    #[inline(always)]
    pub const fn new(ctx: &'c XdpContext) -> Self {
        Self { ctx }
    }
}

impl<'c> Dry<'c> {
    #[inline(always)]
    pub const fn new(ctx: &'c XdpContext) -> Self {
        Self { live: Live::new(ctx) }
    }
}

impl Tables for Live<'_> {
    #[inline(always)]
    fn features(&self) -> Features {
        globals::features()
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        globals::seed()
    }

    #[inline(always)]
    fn nat_ports(&self) -> (u16, u16) {
        globals::nat_ports()
    }

    #[inline(always)]
    fn vip4(&self, key: &VipKey4) -> Option<VipEntry> {
        vip4(key)
    }

    #[inline(always)]
    fn vip6(&self, key: &VipKey6) -> Option<VipEntry> {
        vip6(key)
    }

    #[inline(always)]
    fn ring_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        slot_word(RINGS.get_value(vip, &0)?, slot)
    }

    #[inline(always)]
    fn previous_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        slot_word(PREVIOUS.get_value(vip, &0)?, slot)
    }

    #[inline(always)]
    fn backend(&self, index: u32) -> Option<&BackendEntry> {
        BACKEND_TABLE.get(index)
    }

    #[inline(always)]
    fn source_allowed(&self, vip: u32, address: &Words) -> bool {
        let [a, b, c, d] = *address;
        // The bytes of a `Key<SourceRange>`. In words: of a packed key the compiler would store
        // each byte by itself.
        let key = [SOURCE_BITS, vip, a, b, c, d];
        // SAFETY: a key is as large, and is looked at here only.
        SOURCES.get(unsafe { &*(&raw const key).cast::<Key<SourceRange>>() }).is_some()
    }

    #[inline(always)]
    fn flow_hit(&self, table: FlowTable, key: &FlowKey, closes: bool) -> Option<BackendId> {
        let entry = flow_pointer(table, key)?;
        // SAFETY: LRU entries are preallocated: the memory stays mapped, and at worst another
        // flow's time is refreshed if the entry is recycled at this instant.
        let entry = unsafe { &mut *entry };
        entry.last_seen_ns = self.now_ns();
        if closes {
            entry.flags |= FLOW_FLAG_CLOSING;
        }
        Some(entry.backend)
    }

    #[inline(always)]
    fn flow_store(&self, table: FlowTable, key: &FlowKey, backend: BackendId) {
        let entry = FlowEntry::new(backend, self.now_ns());
        // An LRU insert fails only when the kernel finds nothing to evict; the flow then stays
        // untracked, which is what an eviction would have made of it.
        let _ = match table {
            FlowTable::Opened => FLOWS_OPENED.insert(key, &entry, BPF_ANY.into()),
            FlowTable::Missed => FLOWS_MISSED.insert(key, &entry, BPF_ANY.into()),
        };
    }

    #[inline(always)]
    fn nat_hit(&self, key: &FlowKey, closes: bool) -> Option<NatEntry> {
        let entry = NAT.get_ptr_mut(key)?;
        // SAFETY: as in `flow_hit`.
        let entry = unsafe { &mut *entry };
        entry.last_seen_ns = self.now_ns();
        if closes {
            entry.flags |= FLOW_FLAG_CLOSING;
        }
        Some(copied_entry(entry))
    }

    #[inline(always)]
    fn nat_store(&self, key: &FlowKey, entry: &NatEntry) {
        // As in `flow_store`.
        let _ = NAT.insert(key, entry, BPF_ANY.into());
    }

    #[inline(always)]
    fn nat_reverse_hit(&self, key: &FlowKey, closes: bool) -> Option<NatReverse> {
        let entry = NAT_REVERSE.get_ptr_mut(key)?;
        // SAFETY: as in `flow_hit`.
        let entry = unsafe { &mut *entry };
        entry.last_seen_ns = self.now_ns();
        if closes {
            entry.flags |= FLOW_FLAG_CLOSING;
        }
        Some(copied_reverse(entry))
    }

    #[inline(always)]
    fn nat_reverse_claim(&self, key: &FlowKey, entry: &NatReverse) -> bool {
        if NAT_REVERSE.insert(key, entry, BPF_NOEXIST.into()).is_ok() {
            return true;
        }
        let Some(old) = NAT_REVERSE.get_ptr_mut(key) else { return false };
        // SAFETY: as in `flow_hit`.
        let old = unsafe { &mut *old };
        let is_same = old.is_flow_of(entry);
        if is_same {
            old.last_seen_ns = entry.last_seen_ns;
        }
        is_same
    }

    #[inline(always)]
    fn fragment_hit(&self, key: &FragmentKey) -> Option<FragmentEntry> {
        // SAFETY: copied at once.
        let entry = unsafe { FRAGMENT_TABLE.get(key) }.map(copied_fragment)?;
        let age_ns = self.now_ns().wrapping_sub(entry.learnt_ns);
        (age_ns < FRAGMENT_LIFETIME_NS).then_some(entry)
    }

    #[inline(always)]
    fn fragment_store(&self, key: &FragmentKey, entry: &FragmentEntry) -> bool {
        FRAGMENT_TABLE.insert(key, entry, BPF_ANY.into()).is_ok()
    }

    #[inline(always)]
    fn route(&self, destination: &Words, is_ipv4: bool, length: u16) -> Route {
        fib::route(self.ctx, destination, is_ipv4, length)
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: no arguments. Coarse (a scheduler tick) is enough for timeouts in seconds.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn count_event(&self, vip: u32, event: Event) {
        count::event(vip, event);
    }

    #[inline(always)]
    fn keep(&self, ip: &Ip) {
        keep(ip);
    }

    #[inline(always)]
    fn kept(&self) -> Option<Ip> {
        kept()
    }

    #[inline(always)]
    fn owe(&self, owed: &Owed) {
        owe(owed);
    }

    #[inline(always)]
    fn owed(&self) -> Option<Owed> {
        owed()
    }
}

impl Tables for Dry<'_> {
    #[inline(always)]
    fn features(&self) -> Features {
        self.live.features()
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        self.live.seed()
    }

    #[inline(always)]
    fn nat_ports(&self) -> (u16, u16) {
        self.live.nat_ports()
    }

    #[inline(always)]
    fn vip4(&self, key: &VipKey4) -> Option<VipEntry> {
        self.live.vip4(key)
    }

    #[inline(always)]
    fn vip6(&self, key: &VipKey6) -> Option<VipEntry> {
        self.live.vip6(key)
    }

    #[inline(always)]
    fn ring_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.live.ring_slot(vip, slot)
    }

    #[inline(always)]
    fn previous_slot(&self, vip: u32, slot: u32) -> Option<u32> {
        self.live.previous_slot(vip, slot)
    }

    #[inline(always)]
    fn backend(&self, index: u32) -> Option<&BackendEntry> {
        self.live.backend(index)
    }

    #[inline(always)]
    fn source_allowed(&self, vip: u32, address: &Words) -> bool {
        self.live.source_allowed(vip, address)
    }

    #[inline(always)]
    fn flow_hit(&self, table: FlowTable, key: &FlowKey, _closes: bool) -> Option<BackendId> {
        // SAFETY: as in `Live::flow_hit`, but only read.
        flow_pointer(table, key).map(|entry| unsafe { (*entry).backend })
    }

    #[inline(always)]
    fn flow_store(&self, _table: FlowTable, _key: &FlowKey, _backend: BackendId) {}

    #[inline(always)]
    fn nat_hit(&self, key: &FlowKey, _closes: bool) -> Option<NatEntry> {
        // SAFETY: copied at once.
        unsafe { NAT.get(key) }.map(copied_entry)
    }

    #[inline(always)]
    fn nat_store(&self, _key: &FlowKey, _entry: &NatEntry) {}

    #[inline(always)]
    fn nat_reverse_hit(&self, key: &FlowKey, _closes: bool) -> Option<NatReverse> {
        // SAFETY: copied at once.
        unsafe { NAT_REVERSE.get(key) }.map(copied_reverse)
    }

    #[inline(always)]
    fn nat_reverse_claim(&self, key: &FlowKey, entry: &NatReverse) -> bool {
        // SAFETY: only compared.
        unsafe { NAT_REVERSE.get(key) }.is_none_or(|old| old.is_flow_of(entry))
    }

    #[inline(always)]
    fn fragment_hit(&self, key: &FragmentKey) -> Option<FragmentEntry> {
        self.live.fragment_hit(key)
    }

    #[inline(always)]
    fn fragment_store(&self, _key: &FragmentKey, _entry: &FragmentEntry) -> bool {
        true
    }

    #[inline(always)]
    fn route(&self, destination: &Words, is_ipv4: bool, length: u16) -> Route {
        self.live.route(destination, is_ipv4, length)
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        self.live.now_ns()
    }

    #[inline(always)]
    fn count_event(&self, _vip: u32, _event: Event) {}

    #[inline(always)]
    fn keep(&self, ip: &Ip) {
        keep(ip);
    }

    #[inline(always)]
    fn kept(&self) -> Option<Ip> {
        kept()
    }

    #[inline(always)]
    fn owe(&self, owed: &Owed) {
        owe(owed);
    }

    #[inline(always)]
    fn owed(&self) -> Option<Owed> {
        owed()
    }

    #[inline(always)]
    fn note(&self, write: impl FnOnce(&mut TraceRecord)) {
        if let Some(record) = Frame::new(self.live.ctx).trace_record() {
            // SAFETY: `trace_record` checked that the record is inside the metadata area, whose
            // alignment is that of packet data: four bytes at least.
            write(unsafe { &mut *record });
        }
    }
}

/// An IPv4 VIP.
#[inline(always)]
pub fn vip4(key: &VipKey4) -> Option<VipEntry> {
    let word = key.to_word();
    // SAFETY: the word is the key; the entry is copied at once and the agent replaces whole ones.
    unsafe { VIPS4.get(&*(&raw const word).cast::<VipKey4>()) }.copied()
}

/// An IPv6 VIP.
#[inline(always)]
pub fn vip6(key: &VipKey6) -> Option<VipEntry> {
    // SAFETY: copied at once; the agent replaces whole entries.
    unsafe { VIPS6.get(key) }.copied()
}

/// A word of a ring table. The comparison is the verifier's proof; `slot_of` keeps slots below the
/// ring's length.
#[inline(always)]
fn slot_word(table: &RingTable, slot: u32) -> Option<u32> {
    let slot = opaque(slot as usize);
    (slot < RING_SLOTS_MAX as usize).then(|| table.slots[slot])
}

#[inline(always)]
fn copied_entry(entry: &NatEntry) -> NatEntry {
    NatEntry { source: copied(&entry.source), ..*entry }
}

#[inline(always)]
fn copied_reverse(entry: &NatReverse) -> NatReverse {
    NatReverse { client: copied(&entry.client), vip: copied(&entry.vip), ..*entry }
}

#[inline(always)]
fn copied_fragment(entry: &FragmentEntry) -> FragmentEntry {
    FragmentEntry {
        source: copied(&entry.source),
        destination: copied(&entry.destination),
        ..*entry
    }
}

#[inline(always)]
fn flow_pointer(table: FlowTable, key: &FlowKey) -> Option<*mut FlowEntry> {
    match table {
        FlowTable::Opened => FLOWS_OPENED.get_ptr_mut(key),
        FlowTable::Missed => FLOWS_MISSED.get_ptr_mut(key),
    }
}
