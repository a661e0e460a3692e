//! Sweeps the flow tables now and then, on a thread of its own.

use super::Event;
use crate::{
    dataplane::{Dataplane, SweepProgress, SweepReport, Sweeper},
    observe::RateLimit,
};
use lb_common::{
    abi::{FlowKey, VIP_FLAG_AFFINITY, VipEntry},
    balance::{hash, slot_of},
};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Time between sweeps: how late a flow is forgotten, or the mark of a quiet slot cleared.
const INTERVAL: Duration = Duration::from_secs(5);

/// At most one line about failing sweeps in this time.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// Starts sweeping `dataplane`, until nobody listens to `events` any more.
pub(super) fn start(mut dataplane: Dataplane, events: mpsc::Sender<Event>) -> std::io::Result<()> {
    let sweep = move || {
        let mut limit = RateLimit::new(LOG_PERIOD);
        while !events.is_closed() {
            thread::sleep(INTERVAL);
            match round(&mut dataplane) {
                Ok(report) => {
                    let SweepReport { generation, held_slots, .. } = report;
                    if !held_slots.is_empty() {
                        // A closed channel ends the loop.
                        drop(events.blocking_send(Event::Swept { generation, held_slots }));
                    }
                }
                Err(error) => {
                    if let Some(suppressed) = limit.admit(Instant::now()) {
                        tracing::warn!("flows cannot be swept: {error} ({suppressed} more such)");
                    }
                }
            }
        }
    };
    thread::Builder::new().name("sweep".to_owned()).spawn(sweep).map(drop)
}

/// One round through all tables.
fn round(dataplane: &mut Dataplane) -> crate::dataplane::Result<SweepReport> {
    let mut sweeper = Sweeper::new(flow_slot);
    loop {
        if let SweepProgress::Done(report) = dataplane.sweep(&mut sweeper)? {
            let (flows, forgotten) = (&report.flow_counts, report.forgotten_count);
            tracing::debug!(?flows, forgotten, "swept");
            return Ok(report);
        }
    }
}

/// The ring slot of a flow, as the kernel program finds it.
fn flow_slot(key: &FlowKey, vip: &VipEntry, seed: u64) -> u32 {
    let is_ipv4 = lb_common::abi::mapped(key.source[3]) == key.source;
    let has_affinity = vip.flags & VIP_FLAG_AFFINITY != 0;
    let (source, destination) =
        if has_affinity { (0, 0) } else { (key.source_port, key.destination_port) };
    slot_of(hash::flow(seed, is_ipv4, key.source, source, destination), vip.ring_slots)
}
