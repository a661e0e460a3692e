//! What a change would do, for people: the body of `lbd diff`.

use super::{BackendImage, Image, VipImage};
use lb_common::abi::{BackendEntry, BackendState, SLOT_MOVED};
use serde::Serialize;
use std::fmt;

/// A change from one image to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// VIPs that change, in order; the others are left out.
    pub vips: Vec<VipSummary>,
}

/// One VIP's change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VipSummary {
    /// The VIP, as `192.0.2.10:80/tcp`.
    pub vip: String,
    /// Service or listeners that own it, after the change if it stays.
    pub service: String,
    /// What becomes of it.
    pub change: Change,
    /// Forwarding mode, or `proxy`: before and after, `None` where there is no VIP.
    pub mode: (Option<&'static str>, Option<&'static str>),
    /// Why that mode, if `auto` chose it.
    pub mode_reason: Option<String>,
    /// Source ranges that come (`+`) and go (`-`).
    pub sources: Vec<String>,
    /// Backends that come, go or change.
    pub backends: Vec<BackendSummary>,
    /// Share of ring slots whose new flows would go elsewhere, percent. 0 for a VIP that comes
    /// or goes.
    pub moved_percent: f64,
    /// Slots that would begin to track their flows.
    pub newly_marked_count: usize,
}

/// One backend's change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendSummary {
    /// Name.
    pub backend: String,
    /// What becomes of it.
    pub change: Change,
    /// What changes about it, in words; empty if it comes or goes.
    pub details: Vec<String>,
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It comes.
    Added,
    /// It goes.
    Removed,
    /// It stays, with differences.
    Changed,
}

impl Summary {
    /// What the step from `running` to `next` would do.
    pub fn new(running: &Image, next: &Image) -> Self {
        let vips = running.vips.keys().chain(next.vips.keys());
        let vips: std::collections::BTreeSet<_> = vips.collect();
        let changes = vips.into_iter().filter_map(|vip| {
            let (before, after) = (running.vips.get(vip), next.vips.get(vip));
            let change = change(before, after)?;
            let empty = VipImage::default();
            let (old, new) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
            let (moved_percent, newly_marked_count) = moves(old, new);
            Some(VipSummary {
                vip: vip.to_string(),
                service: after.unwrap_or(old).service.clone(),
                change,
                mode: (before.and_then(mode), after.and_then(mode)),
                mode_reason: new.mode_reason.clone(),
                sources: sources(old, new),
                backends: backends(old, new),
                moved_percent,
                newly_marked_count,
            })
        });
        Self { vips: changes.collect() }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vips.is_empty() {
            return writeln!(f, "no change");
        }
        self.vips.iter().try_for_each(|vip| write!(f, "{vip}"))
    }
}

impl fmt::Display for VipSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.change.sign(), self.vip, self.service)?;
        match self.mode {
            (Some(before), Some(after)) if before != after => write!(f, ", {before} -> {after}")?,
            (before, after) => write!(f, ", {}", after.or(before).unwrap_or("unknown mode"))?,
        }
        if let Some(reason) = &self.mode_reason {
            write!(f, " ({reason})")?;
        }
        if self.change == Change::Changed && self.mode != (Some("proxy"), Some("proxy")) {
            write!(f, ": {:.2} % of the ring moves", self.moved_percent)?;
            write!(f, ", {} slots begin to track", self.newly_marked_count)?;
        }
        writeln!(f)?;
        self.sources.iter().try_for_each(|range| writeln!(f, "    {range} source range"))?;
        self.backends.iter().try_for_each(|backend| write!(f, "{backend}"))
    }
}

impl fmt::Display for BackendSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    {} {}", self.change.sign(), self.backend)?;
        if !self.details.is_empty() {
            write!(f, ": {}", self.details.join(", "))?;
        }
        writeln!(f)
    }
}

impl Change {
    const fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }
}

fn change<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Option<Change> {
    match (before, after) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (before, after) => (before != after).then_some(Change::Changed),
    }
}

fn sources(before: &VipImage, after: &VipImage) -> Vec<String> {
    let added = after.sources.difference(&before.sources).map(|it| format!("+ {it}"));
    added.chain(before.sources.difference(&after.sources).map(|it| format!("- {it}"))).collect()
}

fn backends(before: &VipImage, after: &VipImage) -> Vec<BackendSummary> {
    let names = before.backends.keys().chain(after.backends.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    let changes = names.into_iter().filter_map(|name| {
        let (old, new) = (before.backends.get(name), after.backends.get(name));
        let details = old.zip(new).map(|(old, new)| details(old, new)).unwrap_or_default();
        Some(BackendSummary { backend: name.clone(), change: change(old, new)?, details })
    });
    changes.collect()
}

fn details(before: &BackendImage, after: &BackendImage) -> Vec<String> {
    let (old, new) = (&before.entry, &after.entry);
    let mut details = Vec::new();
    if old.state != new.state {
        details.push(format!("{} -> {}", state(old), state(new)));
    }
    if before.weight != after.weight {
        details.push(format!("weight {} -> {}", before.weight, after.weight));
    }
    if old.address != new.address || old.port != new.port {
        details.push("new address or port: its flows end".to_owned());
    }
    if old.next_hop != new.next_hop {
        details.push("next hop".to_owned());
    }
    if old.mtu != new.mtu {
        details.push(format!("MTU {} -> {}", old.mtu, new.mtu));
    }
    if old.source != new.source {
        details.push("source address".to_owned());
    }
    details
}

/// Share of slots that move, percent, and how many get a mark.
fn moves(before: &VipImage, after: &VipImage) -> (f64, usize) {
    let slots = before.ring.slots.iter().zip(after.ring.slots.iter());
    let moved = slots.clone().filter(|(old, new)| (*old ^ *new) & !SLOT_MOVED != 0).count();
    let marked = slots.filter(|(old, new)| !*old & *new & SLOT_MOVED != 0).count();
    let total = before.ring.slots.len().min(after.ring.slots.len()).max(1);
    (moved as f64 * 100.0 / total as f64, marked)
}

fn mode(vip: &VipImage) -> Option<&'static str> {
    vip.entry.mode_name()
}

fn state(entry: &BackendEntry) -> &'static str {
    match BackendState::from_wire(entry.state) {
        Some(BackendState::Active) => "active",
        Some(BackendState::Draining) => "draining",
        Some(BackendState::Down) => "down",
        Some(BackendState::Free) | None => "free",
    }
}
