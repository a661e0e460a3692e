//! Counters: every packet moves exactly one of `lb_backend_stat` and `lb_outcomes`.

use lb_common::verdict::{Event, Packed};

use crate::maps::{BACKEND_STAT, OUTCOME_STAT, VIP_EVENTS};

/// Counts a packet of `bytes` under its verdict.
#[inline(always)]
pub fn verdict(verdict: Packed, bytes: u64) {
    if !verdict.is_forwarded() {
        if verdict.is_proxied() {
            proxied(verdict.vip(), bytes);
        }
        return outcome(verdict.outcome_index(), bytes);
    }
    let Some(counters) = BACKEND_STAT.get_ptr_mut(verdict.backend()) else { return };
    // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
    let counters = unsafe { &mut *counters };
    if verdict.is_reply() {
        counters.reply_packets += 1;
        counters.reply_bytes += bytes;
    } else {
        counters.packets += 1;
        counters.bytes += bytes;
    }
}

/// Counts an event of a VIP.
#[inline(always)]
pub fn event(vip: u32, event: Event) {
    let Some(events) = VIP_EVENTS.get_ptr_mut(vip) else { return };
    // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
    let events = unsafe { &mut *events };
    match event {
        Event::TrackedHit => events.tracked_hits += 1,
        Event::MissPrevious => events.misses_previous += 1,
        Event::MissCurrent => events.misses_current += 1,
        Event::FlowOpened => events.flows_opened += 1,
        Event::IcmpRouted => events.icmp_routed += 1,
        Event::FragmentLearnt => events.fragments_learnt += 1,
        Event::SourceRefused => events.sources_refused += 1,
    }
}

#[inline(always)]
fn proxied(vip: u32, bytes: u64) {
    let Some(events) = VIP_EVENTS.get_ptr_mut(vip) else { return };
    // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
    let events = unsafe { &mut *events };
    events.proxied_packets += 1;
    events.proxied_bytes += bytes;
}

#[inline(always)]
fn outcome(index: u32, bytes: u64) {
    if let Some(counters) = OUTCOME_STAT.get_ptr_mut(index) {
        // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
        let counters = unsafe { &mut *counters };
        counters.packets += 1;
        counters.bytes += bytes;
    }
}
