//! `get vips`.

use super::Kind;
use crate::{
    admin::View,
    reconcile::{VipImage, ring_hash},
};
use lb_common::abi::{BackendState, VIP_FLAG_SOURCES};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VipResource {
    /// `192.0.2.10:80/tcp`.
    pub vip: String,
    /// Owner: a service, or the listeners of a proxied VIP.
    pub service: String,
    /// Forwarding mode in force, or `proxy`.
    pub mode: String,
    /// Why, if the mode was `auto`.
    pub mode_reason: Option<String>,
    /// Backends that take new flows.
    pub backends_active: u32,
    /// Backends configured.
    pub backends_total: u32,
    /// Slots of its ring; 0 = no usable backend.
    pub ring_slots: u32,
    /// Hash over the names of the ring's backends by slot, hexadecimal: equal on routers that decide
    /// alike.
    pub ring_hash: String,
    /// Slots whose flows are looked up, because they moved.
    pub moved_slots: u32,
    /// End of the transition window, milliseconds since the Unix epoch; 0 = none.
    pub window_ends_ms: u64,
    /// Frames forwarded to its backends, those now gone included, or passed for the proxy.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
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
    /// Ranges of clients that are served; empty = everybody, unless `clientsLimited`.
    pub sources: Vec<String>,
    /// Whether only clients in `sources` are served.
    pub clients_limited: bool,
    /// Frames of other clients that were dropped.
    pub sources_refused: u64,
}

impl Kind for VipResource {
    const LIST: &'static str = "VipList";
}

/// All VIPs, by address, port and protocol.
pub fn vips(view: &View) -> Vec<VipResource> {
    let resource = |(vip, image): (&crate::model::Vip, &VipImage)| {
        let stats = view.vip_stats(image.entry.index);
        let traffic = stats.map(|stats| stats.traffic).unwrap_or_default();
        let events = stats.map(|stats| stats.events).unwrap_or_default();
        let proxied = stats.map(|stats| stats.proxied).unwrap_or_default();
        VipResource {
            vip: vip.to_string(),
            service: image.service.clone(),
            mode: image.entry.mode_name().unwrap_or("unknown").to_owned(),
            mode_reason: image.mode_reason.clone(),
            backends_active: backends_active(image),
            backends_total: image.backends.len() as u32,
            ring_slots: image.ring.slots.len() as u32,
            ring_hash: format!("{:016x}", hash(image)),
            moved_slots: image.ring.moved_count() as u32,
            window_ends_ms: image.ring.window_ends_ms,
            packets: traffic.packets + proxied.packets,
            bytes: traffic.bytes + proxied.bytes,
            tracked_hits: events.tracked_hits,
            misses_previous: events.misses_previous,
            misses_current: events.misses_current,
            flows_opened: events.flows_opened,
            icmp_routed: events.icmp_routed,
            fragments_learnt: events.fragments_learnt,
            sources: image.sources.iter().map(ToString::to_string).collect(),
            clients_limited: image.entry.flags & VIP_FLAG_SOURCES != 0,
            sources_refused: events.sources_refused,
        }
    };
    view.image.vips.iter().map(resource).collect()
}

/// Backends of the VIP that take new flows.
pub(super) fn backends_active(image: &VipImage) -> u32 {
    let is_active = |state: u8| state == BackendState::Active as u8;
    image.backends.values().filter(|b| is_active(b.entry.state) && b.weight > 0).count() as u32
}

fn hash(image: &VipImage) -> u64 {
    let names: BTreeMap<u32, &str> = image
        .backends
        .iter()
        .map(|(name, backend)| (backend.entry.id.index(), name.as_str()))
        .collect();
    ring_hash(&image.ring, |index| names.get(&index).copied())
}
