//! What was counted, per endpoint and upstream.

use serde::Serialize;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Something that is counted.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts `count` more.
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// How many so far.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What is counted per endpoint.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: Counter,
    pub(super) failures: Counter,
    pub(super) connect_errors: Counter,
    pub(super) connections_opened: Counter,
    pub(super) connections_reused: Counter,
    pub(super) retries: Counter,
    pub(super) ejections: Counter,
    pub(super) latency_ns: Counter,
}

/// An upstream at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatistics {
    /// Its name.
    pub name: String,
    /// Requests under way.
    pub under_way: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests that a limit stopped.
    pub refused_count: u64,
    /// Requests for which there was no endpoint.
    pub without_endpoint_count: u64,
    /// Its endpoints, by name and address.
    pub endpoints: Vec<EndpointStatistics>,
}

/// An endpoint at one moment. Counts are since it is known.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatistics {
    /// Its name.
    pub name: String,
    /// Its address; several endpoints have one name if that is in DNS.
    pub address: SocketAddr,
    /// Its share relative to the others.
    pub weight: u16,
    /// Whether it gets no new requests by configuration.
    pub drains: bool,
    /// Whether active checks hold it for healthy, or there are none.
    pub is_up: bool,
    /// Whether it is left out for its failures.
    pub is_ejected: bool,
    /// Requests under way.
    pub under_way: u32,
    /// Connections open, over all workers.
    pub connections: u32,
    /// Moving average of its latency.
    pub latency: Duration,
    /// Requests sent, or tried to.
    pub requests_count: u64,
    /// Requests that failed: 5xx, connection errors, timeouts.
    pub failures_count: u64,
    /// Connections that could not be opened.
    pub connect_errors_count: u64,
    /// Connections opened.
    pub connections_opened_count: u64,
    /// Requests sent over a connection that was there already.
    pub connections_reused_count: u64,
    /// Requests that were sent here again.
    pub retries_count: u64,
    /// Times that it was left out.
    pub ejections_count: u64,
    /// Sum of the latencies of requests that were answered.
    pub latency_sum: Duration,
}

impl EndpointStatistics {
    /// What is known about an endpoint.
    pub(super) fn of(endpoint: &super::endpoint::Endpoint, now_ns: u64) -> Self {
        let state = &endpoint.state;
        let counters = &state.counters;
        Self {
            name: endpoint.name.to_string(),
            address: endpoint.address,
            weight: endpoint.weight,
            drains: endpoint.drain,
            is_up: state.is_up(),
            is_ejected: state.is_ejected(now_ns),
            under_way: state.under_way.load(Relaxed),
            connections: state.connections.load(Relaxed),
            latency: state.latency(),
            requests_count: counters.requests.count(),
            failures_count: counters.failures.count(),
            connect_errors_count: counters.connect_errors.count(),
            connections_opened_count: counters.connections_opened.count(),
            connections_reused_count: counters.connections_reused.count(),
            retries_count: counters.retries.count(),
            ejections_count: counters.ejections.count(),
            latency_sum: Duration::from_nanos(counters.latency_ns.count()),
        }
    }
}
