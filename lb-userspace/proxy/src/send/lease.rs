//! A request's hold on an endpoint.

use super::{
    clock::{now_ns, ns_of},
    endpoint::Endpoint,
    limits::count_in,
    outlier,
};
use crate::http::Reason;
use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// A request (or a connection, or a session) under way at an endpoint, until it is dropped.
#[derive(Debug)]
pub struct Lease(Arc<Endpoint>);

impl Lease {
    /// Counts a request under way, unless there are too many.
    pub(super) fn begin(endpoint: &Arc<Endpoint>) -> Result<Self, Reason> {
        let shared = &endpoint.shared;
        if !count_in(&shared.under_way, endpoint.settings.limits.requests_max) {
            shared.refused.add(1);
            return Err(Reason::CircuitOpen);
        }
        endpoint.state.under_way.fetch_add(1, Relaxed);
        endpoint.state.counters.requests.add(1);
        Ok(Self(Arc::clone(endpoint)))
    }

    /// Name of the upstream.
    pub fn upstream(&self) -> &Arc<str> {
        &self.0.settings.name
    }

    /// Name of the endpoint.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its DNS name, if it has one.
    pub fn host_name(&self) -> Option<&str> {
        self.0.host_name.as_deref()
    }

    /// The endpoint as `Host` says it: its DNS name, else its address, and the port unless it is
    /// the scheme's own.
    pub fn authority(&self) -> String {
        let port = self.address().port();
        let usual = if self.0.settings.outgoing.tls.is_some() { 443 } else { 80 };
        let host = match (self.host_name(), self.address()) {
            (Some(name), _) => name.to_owned(),
            (None, SocketAddr::V4(address)) => address.ip().to_string(),
            (None, SocketAddr::V6(address)) => format!("[{}]", address.ip()),
        };
        if port == usual { host } else { format!("{host}:{port}") }
    }

    /// Notes that it answered after so long.
    pub fn succeeded(&self, latency: Duration) {
        self.0.state.answered(latency, now_ns());
    }

    /// Notes that it answered now what was asked when it began.
    pub(super) fn answered(&self, begun: Instant, now: Instant) {
        self.0.state.answered(now - begun, ns_of(now));
    }

    /// Notes that it failed: an error, a timeout, a 5xx.
    pub fn failed(&self) {
        let failures_in_row = self.0.state.failed();
        outlier::consider(&self.0, failures_in_row);
    }

    /// The endpoint.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.name, self.0.address)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.state.under_way.fetch_sub(1, Relaxed);
        self.0.shared.under_way.fetch_sub(1, Relaxed);
    }
}
