//! `lbd diff`: what a configuration would change, VIP by VIP.

use super::Kind;
use crate::reconcile::{Change, Image, Summary, VipSummary};
use serde::{Deserialize, Serialize};

/// What would become of one VIP. VIPs that stay as they are are not listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeResource {
    /// `192.0.2.10:80/tcp`.
    pub vip: String,
    /// Owner (a service, or listeners), after the change if it stays.
    pub service: String,
    /// `add`, `remove` or `change`.
    pub action: String,
    /// Forwarding mode now; `null` = there is no such VIP.
    pub mode_before: Option<String>,
    /// Forwarding mode after the change; `null` = there would be no such VIP.
    pub mode_after: Option<String>,
    /// Why that mode, if `auto` chose it.
    pub mode_reason: Option<String>,
    /// Part of the ring's slots whose new flows would go to another backend, 0 to 1.
    pub ring_moves: f64,
    /// Slots that would begin to track their flows.
    pub newly_tracked_slots: u64,
    /// Backends that come, go or change.
    pub backends: Vec<BackendChange>,
}

/// What would become of one backend of a VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendChange {
    /// Name.
    pub backend: String,
    /// `add`, `remove` or `change`.
    pub action: String,
    /// What changes about it, a phrase each.
    pub details: Vec<String>,
}

impl Kind for ChangeResource {
    const LIST: &'static str = "ChangeList";
}

/// The difference between what runs and what would.
pub fn changes(running: &Image, next: &Image) -> Vec<ChangeResource> {
    Summary::new(running, next).vips.into_iter().map(resource).collect()
}

fn resource(summary: VipSummary) -> ChangeResource {
    let (before, after) = summary.mode;
    let backends = summary.backends.into_iter().map(|backend| BackendChange {
        backend: backend.backend,
        action: action(backend.change).to_owned(),
        details: backend.details,
    });
    ChangeResource {
        vip: summary.vip,
        service: summary.service,
        action: action(summary.change).to_owned(),
        mode_before: before.map(ToOwned::to_owned),
        mode_after: after.map(ToOwned::to_owned),
        mode_reason: summary.mode_reason,
        ring_moves: summary.moved_percent / 100.0,
        newly_tracked_slots: summary.newly_marked_count as u64,
        backends: backends.collect(),
    }
}

const fn action(change: Change) -> &'static str {
    match change {
        Change::Added => "add",
        Change::Removed => "remove",
        Change::Changed => "change",
    }
}
