//! Every counter of the program by name, and how a row says that they move.

use std::{collections::BTreeMap, fmt::Write as _};

use lb_common::{
    abi::VipEvents,
    verdict::{Event, Outcome},
};

use super::memory::event_name;

/// Every counter that is not zero, by name: `backend[1].packets`, `outcome[pass_not_vip].bytes`,
/// `vip[0].flows_opened`.
pub type Counters = BTreeMap<String, u64>;

/// The whole change of the counters that one packet makes. `bytes` counters move by the length of
/// the frame as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    moves: BTreeMap<String, Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    One,
    Frame,
}

impl Delta {
    /// Nothing moves.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The packet counts as forwarded to this backend.
    pub fn forwarded(backend: u32) -> Self {
        Self::nothing()
            .moves(format!("backend[{backend}].packets"), Amount::One)
            .moves(format!("backend[{backend}].bytes"), Amount::Frame)
    }

    /// The packet counts as a reply of this backend.
    pub fn replied(backend: u32) -> Self {
        Self::nothing()
            .moves(format!("backend[{backend}].reply_packets"), Amount::One)
            .moves(format!("backend[{backend}].reply_bytes"), Amount::Frame)
    }

    /// The packet counts under this outcome.
    pub fn outcome(outcome: Outcome) -> Self {
        Self::nothing()
            .moves(format!("outcome[{}].packets", outcome.name()), Amount::One)
            .moves(format!("outcome[{}].bytes", outcome.name()), Amount::Frame)
    }

    /// The packet counts as passed to the proxy for the VIP of this index.
    pub fn proxied(vip: u32) -> Self {
        Self::outcome(Outcome::PassToProxy)
            .moves(format!("vip[{vip}].proxied"), Amount::One)
            .moves(format!("vip[{vip}].proxied_bytes"), Amount::Frame)
    }

    /// Besides, this event of VIP 0 is counted.
    #[must_use]
    pub fn event(self, event: Event) -> Self {
        self.event_of(0, event)
    }

    /// Besides, this event of the VIP of this index is counted.
    #[must_use]
    pub fn event_of(self, vip: u32, event: Event) -> Self {
        self.moves(format!("vip[{vip}].{}", event_name(event)), Amount::One)
    }

    /// The change in figures, for a frame of this length.
    pub fn figures(&self, frame_bytes: usize) -> Counters {
        let figure = |amount: &Amount| match amount {
            Amount::One => 1,
            Amount::Frame => frame_bytes as u64,
        };
        self.moves.iter().map(|(name, amount)| (name.clone(), figure(amount))).collect()
    }

    fn moves(mut self, counter: String, amount: Amount) -> Self {
        self.moves.insert(counter, amount);
        self
    }
}

/// Reads one event's counter.
type Reader = fn(&VipEvents) -> u64;

/// Every event, and where it is counted.
pub(super) const EVENTS: [(Event, Reader); 7] = [
    (Event::TrackedHit, |events| events.tracked_hits),
    (Event::MissPrevious, |events| events.misses_previous),
    (Event::MissCurrent, |events| events.misses_current),
    (Event::FlowOpened, |events| events.flows_opened),
    (Event::IcmpRouted, |events| events.icmp_routed),
    (Event::FragmentLearnt, |events| events.fragments_learnt),
    (Event::SourceRefused, |events| events.sources_refused),
];

/// What moved between two readings.
pub fn moved(before: &Counters, after: &Counters) -> Counters {
    after
        .iter()
        .map(|(name, value)| (name.clone(), value.wrapping_sub(*before.get(name).unwrap_or(&0))))
        .filter(|(_, change)| *change != 0)
        .collect()
}

/// How often a packet was counted: whole packets under backends and outcomes.
pub fn packets_counted(moved: &Counters) -> u64 {
    moved.iter().filter(|(name, _)| name.ends_with("packets")).map(|(_, change)| change).sum()
}

/// Where two changes differ, one counter a line; empty if nowhere.
pub(super) fn compare(expected: &Counters, actual: &Counters) -> String {
    let mut text = String::new();
    let names: std::collections::BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    for name in names {
        let (want, got) = (expected.get(name).unwrap_or(&0), actual.get(name).unwrap_or(&0));
        if want != got {
            writeln!(text, "    {name}: expected +{want}, moved by +{got}").expect("to a string");
        }
    }
    text
}
