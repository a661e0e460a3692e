//! `get backends`.

use super::Kind;
use crate::{
    admin::View,
    health::HealthRecord,
    reconcile::{BackendImage, VipImage},
};
use lb_common::abi::{BackendState, Mode, SLOT_MOVED, Words};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// One backend of one VIP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendResource {
    /// Service.
    pub service: String,
    /// Name within the service.
    pub backend: String,
    /// VIP that the entry belongs to.
    pub vip: String,
    /// Address and port, IPv6 in brackets.
    pub address: String,
    /// Forwarding mode.
    pub mode: String,
    /// `active`, `draining` or `down`.
    pub state: String,
    /// Why it is not active.
    pub state_reason: Option<String>,
    /// Relative weight.
    pub weight: u16,
    /// Part of the ring's slots, 0 to 1.
    pub ring_share: f64,
    /// What health checks know; `null` = not checked, or not known here.
    pub health: Option<BackendHealth>,
    /// Cached next hop; `null` = the kernel looks it up.
    pub next_hop: Option<BackendNextHop>,
    /// Largest IP packet on the way to it, bytes.
    pub mtu_bytes: u16,
    /// Frames forwarded to it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Translated replies from it.
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
}

/// What health checks know about a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendHealth {
    /// The verdict.
    pub up: bool,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When it was last probed, milliseconds since the Unix epoch.
    pub probed_ms: Option<u64>,
    /// How the last probe failed; `null` = it passed, or there was none yet.
    pub last_error: Option<String>,
}

/// Where frames for a backend leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendNextHop {
    /// Interface name, or its index if the name is not known.
    pub interface: String,
    /// Destination MAC.
    pub mac: String,
    /// Source MAC.
    pub source_mac: String,
}

impl Kind for BackendResource {
    const LIST: &'static str = "BackendList";
}

/// All backends, by service, name and VIP.
pub fn backends(view: &View) -> Vec<BackendResource> {
    let mut resources = Vec::new();
    for (vip, image) in &view.image.vips {
        let slots = slots_by_backend(image);
        for (name, backend) in &image.backends {
            resources.push(resource(view, &vip.to_string(), image, name, backend, &slots));
        }
    }
    resources
        .sort_by(|a, b| (&a.service, &a.backend, &a.vip).cmp(&(&b.service, &b.backend, &b.vip)));
    resources
}

fn resource(
    view: &View,
    vip: &str,
    image: &VipImage,
    name: &str,
    backend: &BackendImage,
    slots: &BTreeMap<u32, u32>,
) -> BackendResource {
    let entry = &backend.entry;
    let traffic = view.backend_traffic(image.entry.index, name);
    let health = view.health.get(&(image.service.clone(), name.to_owned()));
    let held = slots.get(&entry.id.index()).copied().unwrap_or(0);
    BackendResource {
        service: image.service.clone(),
        backend: name.to_owned(),
        vip: vip.to_owned(),
        address: SocketAddr::new(address(entry.address), u16::from_be(entry.port)).to_string(),
        mode: Mode::from_wire(entry.mode).map_or("unknown", Mode::name).to_owned(),
        state: state_name(entry.state).to_owned(),
        state_reason: state_reason(view, image, name, backend, health),
        weight: backend.weight,
        ring_share: f64::from(held) / f64::from((image.ring.slots.len() as u32).max(1)),
        health: health.map(|record| BackendHealth {
            up: record.is_up,
            since_ms: record.since_ms,
            probed_ms: record.probed_ms,
            last_error: record.last_error.clone(),
        }),
        next_hop: (entry.next_hop.ifindex != 0).then(|| BackendNextHop {
            interface: view.interface_name(entry.next_hop.ifindex),
            mac: mac(entry.next_hop.destination()),
            source_mac: mac(entry.next_hop.source()),
        }),
        mtu_bytes: entry.mtu,
        packets: traffic.packets,
        bytes: traffic.bytes,
        reply_packets: traffic.reply_packets,
        reply_bytes: traffic.reply_bytes,
    }
}

/// Slots held by each backend index.
fn slots_by_backend(image: &VipImage) -> BTreeMap<u32, u32> {
    let mut held = BTreeMap::new();
    for slot in image.ring.slots.iter() {
        *held.entry(slot & !SLOT_MOVED).or_insert(0) += 1;
    }
    held
}

fn state_name(state: u8) -> &'static str {
    match BackendState::from_wire(state) {
        Some(BackendState::Active) => "active",
        Some(BackendState::Draining) => "draining",
        Some(BackendState::Down) => "down",
        Some(BackendState::Free) => "free",
        None => "unknown",
    }
}

fn state_reason(
    view: &View,
    image: &VipImage,
    name: &str,
    backend: &BackendImage,
    health: Option<&HealthRecord>,
) -> Option<String> {
    let key = (image.service.clone(), name.to_owned());
    match BackendState::from_wire(backend.entry.state)? {
        BackendState::Draining if view.drained.contains(&key) => Some("drained by operator".into()),
        BackendState::Draining if backend.weight == 0 => Some("weight 0".into()),
        BackendState::Draining => Some("drained in the configuration".into()),
        BackendState::Down => {
            let failure = health.and_then(|record| record.last_error.clone());
            Some(failure.unwrap_or_else(|| "health check".into()))
        }
        BackendState::Active | BackendState::Free => None,
    }
}

/// The address behind its IPv4-mapped form.
pub fn address(words: Words) -> IpAddr {
    let mut bytes = [0; 16];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(bytes).to_canonical()
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}
