//! Counters, summed over CPUs.

use super::{
    Dataplane, convert,
    error::{DataplaneError, Result},
    maps::Maps,
};
use lb_common::{
    abi::{BackendCounters, OutcomeCounters, VipEvents},
    steer::SteerOutcome,
    verdict::Outcome,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Every counter of a data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Applied configuration changes.
    pub generation: u64,
    /// VIPs, sorted.
    pub vips: Vec<VipStats>,
    /// What became of packets that went to no backend, in counter order; zeroes included.
    pub outcomes: Vec<OutcomeStats>,
    /// What became of look-ups of sockets, in counter order; zeroes included.
    pub steering: Vec<SteerStats>,
}

/// Counters of a VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VipStats {
    /// The VIP, as it displays.
    pub vip: String,
    /// Its index.
    pub index: u32,
    /// Service that owns it.
    pub service: String,
    /// Its backends' traffic, with that of backends it no longer has: never falls.
    pub traffic: Traffic,
    /// What was passed to the host's stack for the proxy.
    pub proxied: ProxiedStats,
    /// How flows were decided.
    pub events: EventStats,
    /// Its backends, by name.
    pub backends: Vec<BackendStats>,
}

/// Counters of a backend of a VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendStats {
    /// Name.
    pub backend: String,
    /// Index.
    pub index: u32,
    /// Traffic since it took the index.
    pub traffic: Traffic,
}

/// Packets and bytes, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Frames forwarded.
    pub packets: u64,
    /// Their bytes, as received.
    pub bytes: u64,
    /// Translated replies (NAT only).
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
}

/// Packets and bytes passed for the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProxiedStats {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How flows were decided; fields as in [`VipEvents`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventStats {
    /// Tracked flows found.
    pub tracked_hits: u64,
    /// Misses decided by the previous backend.
    pub misses_previous: u64,
    /// Misses decided by the current backend: connections about to break.
    pub misses_current: u64,
    /// Flows stored by their opening packet.
    pub flows_opened: u64,
    /// ICMP errors routed to a flow's backend.
    pub icmp_routed: u64,
    /// Fragmented datagrams learnt.
    pub fragments_learnt: u64,
    /// Frames of clients outside the source ranges.
    pub sources_refused: u64,
}

/// Counters of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OutcomeStats {
    /// Its stable name.
    pub outcome: &'static str,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counter of what became of look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SteerStats {
    /// Its stable name.
    pub outcome: &'static str,
    /// Look-ups.
    pub lookups: u64,
}

impl Dataplane {
    /// Reads every counter.
    pub fn stats(&self) -> Result<Stats> {
        let infos = self.raw_vip_infos()?;
        let mut backends = self.backend_stats()?;
        let mut vips = Vec::new();
        for (index, (vip, _)) in self.vips_by_index()? {
            let info = infos.get(&index);
            let retired = info.map(|info| info.retired).unwrap_or_default();
            let (living, backends) = backends.remove(&index).unwrap_or_default();
            let (events, proxied) = vip_events(&self.maps, index)?;
            let stats = VipStats {
                vip: vip.to_string(),
                index,
                service: info.map(|info| convert::text(&info.service)).unwrap_or_default(),
                traffic: sum(retired, living).into(),
                proxied,
                events,
                backends,
            };
            vips.push((vip, stats));
        }
        vips.sort_by_key(|(vip, _)| *vip);
        Ok(Stats {
            generation: self.maps.load_info()?.generation,
            vips: vips.into_iter().map(|(_, stats)| stats).collect(),
            outcomes: outcomes(&self.maps)?,
            steering: steering(&self.maps)?,
        })
    }

    /// Counters of all backends by VIP index, with their sum.
    fn backend_stats(&self) -> Result<BTreeMap<u32, (BackendCounters, Vec<BackendStats>)>> {
        let mut by_vip: BTreeMap<u32, (BackendCounters, Vec<BackendStats>)> = BTreeMap::new();
        for (index, name) in self.names()? {
            let entry = self.maps.backend(index)?;
            if entry.id != name.id {
                continue;
            }
            let counters = backend_counters(&self.maps, index)?;
            let (total, backends) = by_vip.entry(entry.vip).or_default();
            *total = sum(*total, counters);
            let backend = convert::text(&name.backend);
            backends.push(BackendStats { backend, index, traffic: counters.into() });
        }
        for (_, backends) in by_vip.values_mut() {
            backends.sort_by(|a, b| a.backend.cmp(&b.backend));
        }
        Ok(by_vip)
    }
}

/// Counters of the backend at `index`.
pub(super) fn backend_counters(maps: &Maps, index: u32) -> Result<BackendCounters> {
    let values = maps
        .backend_counters
        .get(&index, 0)
        .map_err(DataplaneError::map("lb_backend_stat", "reading"))?;
    Ok(values.iter().copied().fold(BackendCounters::default(), sum))
}

/// Field by field.
pub(super) fn sum(a: BackendCounters, b: BackendCounters) -> BackendCounters {
    BackendCounters {
        packets: a.packets.wrapping_add(b.packets),
        bytes: a.bytes.wrapping_add(b.bytes),
        reply_packets: a.reply_packets.wrapping_add(b.reply_packets),
        reply_bytes: a.reply_bytes.wrapping_add(b.reply_bytes),
    }
}

impl From<BackendCounters> for Traffic {
    fn from(counters: BackendCounters) -> Self {
        let BackendCounters { packets, bytes, reply_packets, reply_bytes } = counters;
        Self { packets, bytes, reply_packets, reply_bytes }
    }
}

fn vip_events(maps: &Maps, index: u32) -> Result<(EventStats, ProxiedStats)> {
    let values =
        maps.vip_events.get(&index, 0).map_err(DataplaneError::map("lb_vip_events", "reading"))?;
    let add = |total: EventStats, one: &VipEvents| EventStats {
        tracked_hits: total.tracked_hits.wrapping_add(one.tracked_hits),
        misses_previous: total.misses_previous.wrapping_add(one.misses_previous),
        misses_current: total.misses_current.wrapping_add(one.misses_current),
        flows_opened: total.flows_opened.wrapping_add(one.flows_opened),
        icmp_routed: total.icmp_routed.wrapping_add(one.icmp_routed),
        fragments_learnt: total.fragments_learnt.wrapping_add(one.fragments_learnt),
        sources_refused: total.sources_refused.wrapping_add(one.sources_refused),
    };
    let add_proxied = |total: ProxiedStats, one: &VipEvents| ProxiedStats {
        packets: total.packets.wrapping_add(one.proxied_packets),
        bytes: total.bytes.wrapping_add(one.proxied_bytes),
    };
    let events = values.iter().fold(EventStats::default(), add);
    Ok((events, values.iter().fold(ProxiedStats::default(), add_proxied)))
}

fn steering(maps: &Maps) -> Result<Vec<SteerStats>> {
    let count = |outcome: SteerOutcome| {
        let values = maps
            .steering
            .get(&(outcome as u32), 0)
            .map_err(DataplaneError::map("lb_steer_stat", "reading"))?;
        let lookups = values.iter().fold(0, |total: u64, one| total.wrapping_add(*one));
        Ok(SteerStats { outcome: outcome.name(), lookups })
    };
    SteerOutcome::ALL.into_iter().map(count).collect()
}

fn outcomes(maps: &Maps) -> Result<Vec<OutcomeStats>> {
    Outcome::ALL
        .iter()
        .map(|outcome| {
            let values = maps
                .outcomes
                .get(&u32::from(*outcome as u8), 0)
                .map_err(DataplaneError::map("lb_outcomes", "reading"))?;
            let add = |total: OutcomeCounters, one: &OutcomeCounters| OutcomeCounters {
                packets: total.packets.wrapping_add(one.packets),
                bytes: total.bytes.wrapping_add(one.bytes),
            };
            let OutcomeCounters { packets, bytes } =
                values.iter().fold(OutcomeCounters::default(), add);
            Ok(OutcomeStats { outcome: outcome.name(), packets, bytes })
        })
        .collect()
}
