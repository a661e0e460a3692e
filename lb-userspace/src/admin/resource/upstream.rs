//! `get upstreams`.

use super::Kind;
use crate::{
    health::Key,
    model::{Balance, HashKey},
    proxy::{
        send::{EndpointStatistics, Upstream},
        snapshot::{Problem, Snapshot},
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// An upstream of the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamResource {
    /// Name.
    pub upstream: String,
    /// Who gets the next request: `peak_ewma`, `round_robin`, `least_request`, `maglev (source)`.
    pub balance: String,
    /// Requests under way.
    pub under_way: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests that a limit stopped.
    pub refused: u64,
    /// Requests for which there was no endpoint.
    pub without_endpoint: u64,
    /// Its endpoints, by name and address.
    pub endpoints: Vec<EndpointResource>,
    /// What does not work, a sentence each; empty = all is well.
    pub problems: Vec<String>,
}

/// An endpoint. Counts are since it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointResource {
    /// Name.
    pub endpoint: String,
    /// Address and port, IPv6 in brackets.
    pub address: String,
    /// `healthy`, `draining`, `ejected` or `down`.
    pub state: String,
    /// Why it is not healthy.
    pub state_reason: Option<String>,
    /// Relative weight.
    pub weight: u16,
    /// Requests under way.
    pub under_way: u32,
    /// Connections open.
    pub connections: u32,
    /// Requests sent, or tried to.
    pub requests: u64,
    /// Of these, failed: 5xx, connection errors, timeouts.
    pub failures: u64,
    /// Connections that could not be opened.
    pub connect_errors: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Requests sent over a connection that was there already.
    pub connections_reused: u64,
    /// Requests that were sent here again.
    pub retries: u64,
    /// Times that it was left out for its failures.
    pub ejections: u64,
    /// Moving average of its latency, milliseconds; `null` = nobody asked it yet.
    pub latency_ms: Option<f64>,
}

impl Kind for UpstreamResource {
    const LIST: &'static str = "UpstreamList";
}

/// All upstreams, by name. `drained` is what an operator drained.
pub fn upstreams(
    snapshot: &Snapshot,
    problems: &[Problem],
    drained: &BTreeSet<Key>,
) -> Vec<UpstreamResource> {
    let resource = |it: &Arc<Upstream>| resource(it, problems, drained);
    snapshot.upstreams.values().map(resource).collect()
}

fn resource(
    upstream: &Upstream,
    problems: &[Problem],
    drained: &BTreeSet<Key>,
) -> UpstreamResource {
    let now = upstream.snapshot();
    let is_mine = |it: &&Problem| it.object.strip_prefix("upstream ") == Some(&now.name);
    let mut problems: Vec<_> = problems.iter().filter(is_mine).map(|it| it.why.clone()).collect();
    let endpoints: Vec<_> =
        now.endpoints.iter().map(|it| endpoint(it, &now.name, drained)).collect();
    if !now.endpoints.iter().any(|it| it.is_up && !it.drains && it.weight > 0) {
        problems.push("no endpoint takes new requests".to_owned());
    }
    UpstreamResource {
        balance: balance_name(upstream.balance()),
        under_way: now.under_way,
        pending: now.pending,
        refused: now.refused_count,
        without_endpoint: now.without_endpoint_count,
        endpoints,
        problems,
        upstream: now.name,
    }
}

pub(in crate::admin) fn endpoint(
    now: &EndpointStatistics,
    upstream: &str,
    drained: &BTreeSet<Key>,
) -> EndpointResource {
    let (state, reason) = state(now, upstream, drained);
    EndpointResource {
        endpoint: now.name.clone(),
        address: now.address.to_string(),
        state: state.to_owned(),
        state_reason: reason.map(ToOwned::to_owned),
        weight: now.weight,
        under_way: now.under_way,
        connections: now.connections,
        requests: now.requests_count,
        failures: now.failures_count,
        connect_errors: now.connect_errors_count,
        connections_opened: now.connections_opened_count,
        connections_reused: now.connections_reused_count,
        retries: now.retries_count,
        ejections: now.ejections_count,
        latency_ms: (!now.latency_sum.is_zero()).then_some(now.latency.as_secs_f64() * 1e3),
    }
}

/// What keeps requests away most comes first.
fn state(
    now: &EndpointStatistics,
    upstream: &str,
    drained: &BTreeSet<Key>,
) -> (&'static str, Option<&'static str>) {
    if !now.is_up {
        return ("down", Some("health check"));
    }
    if drained.contains(&(upstream.to_owned(), now.name.clone())) {
        return ("draining", Some("drained by operator"));
    }
    if now.drains {
        return ("draining", Some("drained in the configuration"));
    }
    if now.weight == 0 {
        return ("draining", Some("weight 0"));
    }
    if now.is_ejected { ("ejected", Some("failures in a row")) } else { ("healthy", None) }
}

/// How an upstream balances, in words.
pub(in crate::admin) fn balance_name(balance: &Balance) -> String {
    match balance {
        Balance::PeakEwma => "peak_ewma".to_owned(),
        Balance::RoundRobin => "round_robin".to_owned(),
        Balance::LeastRequest => "least_request".to_owned(),
        Balance::Maglev(HashKey::Source) => "maglev (source)".to_owned(),
        Balance::Maglev(HashKey::Header(name)) => format!("maglev (header {name})"),
        Balance::Maglev(HashKey::Cookie(name)) => format!("maglev (cookie {name})"),
    }
}
