//! Sweeping: which flows are forgotten, which are kept, which slots they hold.

use crate::host::{Host, backend, fill, vip_entry};
use aya::{
    Pod,
    maps::{HashMap, Map, MapData},
};
use lb_common::{
    abi::{
        BackendEntry, BackendId, BackendState, FLOW_FLAG_CLOSING, FlowEntry, FlowKey, NatEntry,
        NatReverse, SLOT_MOVED, VipEntry, mapped,
    },
    limits::RING_SLOTS_MAX,
};
use lb_userspace::{
    dataplane::{Dataplane, FlowTable, SweepProgress, SweepReport, Sweeper},
    reconcile::MapStore,
};
use std::collections::{BTreeMap, BTreeSet};

const S: u64 = 1_000_000_000;

/// The source port is the slot.
fn slot_of(key: &FlowKey, _vip: &VipEntry, _seed: u64) -> u32 {
    u16::from_be(key.source_port).into()
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * S + now.tv_nsec.cast_unsigned()
}

fn key(port: u16) -> FlowKey {
    FlowKey {
        source: mapped(u32::from_ne_bytes([198, 51, 100, 1])),
        destination: mapped(u32::from_ne_bytes([192, 0, 2, 10])),
        source_port: port.to_be(),
        destination_port: 80_u16.to_be(),
        protocol: 6,
        pad: 0,
        pad2: 0,
    }
}

fn table<V: Pod>(host: &Host, name: &str) -> HashMap<MapData, FlowKey, V> {
    let path = format!("/sys/fs/bpf/lb/{}/maps/{name}", host.instance);
    Map::LruHashMap(MapData::from_pin(path).unwrap()).try_into().unwrap()
}

fn sweep(dataplane: &mut Dataplane, sweeper: &mut Sweeper) -> SweepReport {
    loop {
        if let SweepProgress::Done(report) = dataplane.sweep(sweeper).unwrap() {
            return report;
        }
    }
}

fn ports<V: Pod>(map: &HashMap<MapData, FlowKey, V>) -> BTreeSet<u16> {
    map.keys().map(|key| u16::from_be(key.unwrap().source_port)).collect()
}

#[test]
fn idle_closed_and_orphaned_flows_go_and_slots_of_the_rest_are_held() {
    let host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    // Slots 0 to 99 moved from backend 2 to backend 1.
    let slots: Vec<u32> =
        (0..RING_SLOTS_MAX).map(|slot| if slot < 100 { 1 | SLOT_MOVED } else { 1 }).collect();
    dataplane.put_ring(0, &slots).unwrap();
    let dead = BackendEntry { state: BackendState::Down as u8, ..backend(3, 1, 7) };
    dataplane.put_backend(&dead, "web", "dead", 1, true).unwrap();

    let now = now_ns();
    let flow = |backend, age_s: u64, flags| FlowEntry {
        backend,
        flags,
        last_seen_ns: now.saturating_sub(age_s * S),
    };
    let (one, two) = (backend(1, 4, 7).id, backend(2, 1, 7).id);
    let mut opened = table::<FlowEntry>(&host, "lb_flows_syn");
    let mut missed = table::<FlowEntry>(&host, "lb_flows_miss");
    // The machine may have booted less than the idle time ago: then nothing can be that old.
    let idle_s = if now > 400 * S { 301 } else { 0 };
    for (port, entry) in [
        (10, flow(one, 1, 0)),
        (11, flow(one, 0, FLOW_FLAG_CLOSING)),
        (12, flow(one, idle_s, 0)),
        (13, flow(BackendId::new(1, 3), 1, 0)),
        (14, flow(dead.id, 1, 0)),
    ] {
        opened.insert(key(port), entry, 0).unwrap();
    }
    for (port, entry) in [(20, flow(two, 1, 0)), (21, flow(one, 1, 0)), (22, flow(two, 61, 1))] {
        missed.insert(key(port), entry, 0).unwrap();
    }

    let mut sweeper = Sweeper::new(slot_of);
    let report = sweep(&mut dataplane, &mut sweeper);
    let mut kept = BTreeSet::from([10, 11]);
    if idle_s == 0 {
        kept.insert(12);
    }
    assert_eq!(ports(&opened), kept);
    assert_eq!(ports(&missed), BTreeSet::from([20, 21]));
    assert_eq!(report.forgotten_count, 8 - 2 - kept.len() as u64);
    assert_eq!(report.flow_counts, BTreeMap::from([(0, 2 + kept.len() as u64)]));
    assert_eq!(report.held_slots, BTreeMap::from([(0, BTreeSet::from([20]))]));
    assert_eq!(report.generation, 1);

    let listed = dataplane.flows(100).unwrap();
    assert_eq!(listed.len(), 2 + kept.len());
    let held = listed.iter().find(|flow| flow.client.port() == 20).unwrap();
    assert_eq!((held.table, held.backend.as_str()), (FlowTable::Missed, "two"));
    assert_eq!(dataplane.flows(1).unwrap().len(), 1);
}

#[test]
fn a_round_that_a_change_overtook_begins_again() {
    let host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    let mut sweeper = Sweeper::new(slot_of);
    assert_eq!(dataplane.sweep(&mut sweeper).unwrap(), SweepProgress::Pending);
    let mut entry = vip_entry(0);
    entry.idle_timeout_s = 1;
    dataplane.put_vip(crate::host::vip(), &entry, false).unwrap();
    dataplane.put_generation(2).unwrap();
    let report = sweep(&mut dataplane, &mut sweeper);
    assert_eq!(report.generation, 2);
    assert_eq!(report.held_slots, BTreeMap::new(), "no slot has moved");
}

#[test]
fn thousands_of_flows_are_swept_in_pieces() {
    let host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    let mut opened = table::<FlowEntry>(&host, "lb_flows_syn");
    let orphan = FlowEntry { backend: BackendId::new(9, 9), ..FlowEntry::default() };
    for port in 1..=3_000 {
        opened.insert(key(port), orphan, 0).unwrap();
    }
    let stored = opened.keys().count() as u64;
    let report = sweep(&mut dataplane, &mut Sweeper::new(slot_of));
    assert_eq!(report.forgotten_count, stored);
    assert_eq!(opened.keys().count(), 0);
}

#[test]
fn both_directions_of_a_translated_flow_live_and_go_together() {
    let host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    let mut entry = vip_entry(0);
    entry.idle_timeout_s = 30;
    dataplane.put_vip(crate::host::vip(), &entry, false).unwrap();
    let mut forward = table::<NatEntry>(&host, "lb_nat");
    let mut reverse = table::<NatReverse>(&host, "lb_nat_reverse");
    let now = now_ns();
    let old = now.saturating_sub(40 * S);
    let server = backend(1, 4, 7);
    let router = mapped(u32::from_ne_bytes([10, 9, 0, 1]));
    // (port, last packet of the client, last reply)
    for (port, sent_ns, replied_ns) in [(1, now, now), (2, old, now), (3, now, old), (4, old, old)]
    {
        let translated = 1_024_u16 + port;
        let nat = NatEntry {
            backend: server.id,
            source_port: translated.to_be(),
            source: router,
            last_seen_ns: sent_ns,
            ..NatEntry::default()
        };
        forward.insert(key(port), nat, 0).unwrap();
        let reply_key = FlowKey {
            source: server.address,
            destination: router,
            source_port: server.port,
            destination_port: translated.to_be(),
            protocol: 6,
            pad: 0,
            pad2: 0,
        };
        let reply = NatReverse {
            client: key(port).source,
            vip: key(port).destination,
            client_port: key(port).source_port,
            vip_port: key(port).destination_port,
            backend: server.id,
            last_seen_ns: replied_ns,
            ..NatReverse::default()
        };
        reverse.insert(reply_key, reply, 0).unwrap();
    }
    let report = sweep(&mut dataplane, &mut Sweeper::new(slot_of));
    assert_eq!(ports(&forward), BTreeSet::from([1, 2, 3]));
    assert_eq!(reverse.keys().count(), 3);
    assert_eq!(report.nat_counts, BTreeMap::from([(0, 3)]));

    // A reply whose forward direction was evicted goes when it is idle.
    for port in [1, 3] {
        forward.remove(&key(port)).unwrap();
    }
    sweep(&mut dataplane, &mut Sweeper::new(slot_of));
    assert_eq!(reverse.keys().count(), 2, "the idle one went, the fresh one and the pair stay");
}
