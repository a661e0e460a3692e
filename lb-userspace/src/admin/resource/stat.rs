//! `get stats`.

use super::Kind;
use crate::{
    admin::View,
    dataplane::{EventStats, Traffic},
};
use serde::{Deserialize, Serialize};

/// One counter. The packets of all `forward`, `reply` and `outcome` counters add up to the packets
/// that the program saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatResource {
    /// What kind of counter.
    pub kind: StatKind,
    /// Stable name.
    pub name: String,
    /// Frames; of `steer`, look-ups.
    pub packets: u64,
    /// Their bytes; `null` where only packets are counted.
    pub bytes: Option<u64>,
}

/// Kinds of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatKind {
    /// Packets forwarded to backends.
    Forward,
    /// Packets translated back to clients.
    Reply,
    /// Packets that were not forwarded, by reason.
    Outcome,
    /// Events beside a packet's outcome, over all VIPs.
    Event,
    /// Look-ups of a socket for a connection or datagram that reached the host's stack.
    Steer,
}

impl Kind for StatResource {
    const LIST: &'static str = "StatList";
}

/// All counters, summed over VIPs.
pub fn stats(view: &View) -> Vec<StatResource> {
    let (total, events) = totals(view);
    let stat = |kind, name: &str, packets, bytes| StatResource {
        kind,
        name: name.to_owned(),
        packets,
        bytes,
    };
    let mut stats = vec![
        stat(StatKind::Forward, "forwarded", total.packets, Some(total.bytes)),
        stat(StatKind::Reply, "replied", total.reply_packets, Some(total.reply_bytes)),
    ];
    for counted in &view.stats.outcomes {
        let bytes = Some(counted.bytes);
        stats.push(stat(StatKind::Outcome, counted.outcome, counted.packets, bytes));
    }
    for (name, count) in [
        ("tracked_hits", events.tracked_hits),
        ("misses_previous", events.misses_previous),
        ("misses_current", events.misses_current),
        ("flows_opened", events.flows_opened),
        ("icmp_routed", events.icmp_routed),
        ("fragments_learnt", events.fragments_learnt),
        ("sources_refused", events.sources_refused),
    ] {
        stats.push(stat(StatKind::Event, name, count, None));
    }
    for counted in &view.stats.steering {
        stats.push(stat(StatKind::Steer, counted.outcome, counted.lookups, None));
    }
    stats
}

fn totals(view: &View) -> (Traffic, EventStats) {
    let (mut traffic, mut events) = (Traffic::default(), EventStats::default());
    for vip in &view.stats.vips {
        traffic.packets += vip.traffic.packets;
        traffic.bytes += vip.traffic.bytes;
        traffic.reply_packets += vip.traffic.reply_packets;
        traffic.reply_bytes += vip.traffic.reply_bytes;
        events.tracked_hits += vip.events.tracked_hits;
        events.misses_previous += vip.events.misses_previous;
        events.misses_current += vip.events.misses_current;
        events.flows_opened += vip.events.flows_opened;
        events.icmp_routed += vip.events.icmp_routed;
        events.fragments_learnt += vip.events.fragments_learnt;
        events.sources_refused += vip.events.sources_refused;
    }
    (traffic, events)
}
