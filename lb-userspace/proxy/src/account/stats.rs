//! Statistics of listeners and rules. Those of endpoints are kept with the upstreams.

use super::{Counter, Histogram, HistogramSum, Record, Shards};
use crate::http::{Reason, Sent};
use std::time::Instant;

/// Statistics of a listener.
#[derive(Debug)]
pub struct ListenerStats(Shards<ListenerShard>);

#[derive(Debug, Default)]
struct ListenerShard {
    connections: Counter,
    handshakes: Counter,
    handshakes_failed: Counter,
    refusals: Reasons,
}

/// What happened at a listener, over all workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListenerSum {
    /// Connections that were served.
    pub connections: u64,
    /// TLS handshakes that succeeded.
    pub handshakes: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Responses made here, in the order of [`Reason::ALL`].
    pub refusals: Vec<u64>,
}

impl ListenerStats {
    /// For so many workers.
    pub fn new(worker_count: usize) -> Self {
        Self(Shards::new(worker_count))
    }

    /// Counts a connection.
    pub fn connected(&self, worker: usize) {
        if let Some(shard) = self.0.of(worker) {
            shard.connections.add(1);
        }
    }

    /// Counts a TLS handshake.
    pub fn secured(&self, worker: usize, succeeded: bool) {
        if let Some(shard) = self.0.of(worker) {
            if succeeded { &shard.handshakes } else { &shard.handshakes_failed }.add(1);
        }
    }

    /// Counts a response that was made here.
    pub fn refused(&self, worker: usize, reason: Reason) {
        if let Some(shard) = self.0.of(worker) {
            shard.refusals.add(reason);
        }
    }

    /// All workers' together.
    pub fn sum(&self) -> ListenerSum {
        let mut sum = ListenerSum { refusals: vec![0; Reason::ALL.len()], ..Default::default() };
        for shard in self.0.iter() {
            sum.connections += shard.connections.load();
            sum.handshakes += shard.handshakes.load();
            sum.handshakes_failed += shard.handshakes_failed.load();
            for (counter, total) in shard.refusals.0.iter().zip(&mut sum.refusals) {
                *total += counter.load();
            }
        }
        sum
    }
}

#[derive(Debug)]
struct Reasons(Box<[Counter]>);

impl Default for Reasons {
    fn default() -> Self {
        Self(Reason::ALL.iter().map(|_| Counter::default()).collect())
    }
}

impl Reasons {
    fn add(&self, reason: Reason) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.add(1);
        }
    }
}

/// Statistics of a rule.
#[derive(Debug)]
pub struct RuleStats(Shards<RuleShard>);

#[derive(Debug, Default)]
struct RuleShard {
    /// By first digit of the status; 0 = the client went before there was one.
    classes: [Counter; 6],
    incomplete: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
    duration: Histogram,
}

/// What happened to the requests of a rule, over all workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSum {
    /// Requests by first digit of the status; 0 = the client went before there was one.
    pub classes: [u64; 6],
    /// Responses that could not be written to their end.
    pub incomplete: u64,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of response bodies.
    pub response_bytes: u64,
    /// From the request's header to the end of the response.
    pub duration: HistogramSum,
}

impl RuleSum {
    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }
}

impl RuleStats {
    /// For so many workers.
    pub fn new(worker_count: usize) -> Self {
        Self(Shards::new(worker_count))
    }

    /// Counts an exchange that is over.
    pub fn finished(&self, worker: usize, record: &Record, sent: Sent, now: Instant) {
        let Some(shard) = self.0.of(worker) else { return };
        if let Some(class) = shard.classes.get(usize::from(record.status / 100)) {
            class.add(1);
        }
        shard.incomplete.add(u64::from(!sent.is_complete));
        shard.request_bytes.add(sent.request_bytes);
        shard.response_bytes.add(sent.response_bytes);
        shard.duration.record(now.saturating_duration_since(record.started));
    }

    /// All workers' together.
    pub fn sum(&self) -> RuleSum {
        let mut sum = RuleSum::default();
        for shard in self.0.iter() {
            for (class, total) in shard.classes.iter().zip(&mut sum.classes) {
                *total += class.load();
            }
            sum.incomplete += shard.incomplete.load();
            sum.request_bytes += shard.request_bytes.load();
            sum.response_bytes += shard.response_bytes.load();
            shard.duration.add_to(&mut sum.duration);
        }
        sum
    }
}
