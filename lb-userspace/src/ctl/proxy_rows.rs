//! How what the proxy serves looks in tables.

use super::table::{Row, or_dash, span};
use crate::{
    admin::resource::{
        CertificateResource, EndpointResource, ListenerResource, RouteBackendResource,
        RouteResource, UpstreamResource,
    },
    runtime::wall_ms,
};

impl Row for ListenerResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec![
            "LISTENER",
            "PROTOCOL",
            "HOST",
            "ADDRESSES",
            "ROUTES",
            "OPEN",
            "CONNECTIONS",
            "REFUSED",
            "STATE",
        ];
        if wide {
            headings.extend(["HANDSHAKES", "HANDSHAKES-FAILED", "REFUSALS", "MAX", "PROBLEMS"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let addresses: Vec<&str> =
            self.vips.iter().chain(&self.binds).map(String::as_str).collect();
        let mut cells = vec![
            self.listener.clone(),
            self.protocol.clone(),
            self.host.clone(),
            or_dash(some(&addresses.join(",")).as_deref()),
            self.routes.len().to_string(),
            self.connections_open.to_string(),
            self.connections.to_string(),
            self.connections_refused.to_string(),
            state(&self.problems),
        ];
        if wide {
            cells.extend([
                self.handshakes.to_string(),
                self.handshakes_failed.to_string(),
                self.refusals.to_string(),
                self.connections_max.to_string(),
                or_dash(some(&self.problems.join("; ")).as_deref()),
            ]);
        }
        cells
    }
}

impl Row for RouteResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec![
            "RULE", "HOSTS", "MATCHES", "BACKENDS", "REQUESTS", "2XX", "4XX", "5XX", "P50", "P99",
            "STATE", "REASON",
        ];
        if wide {
            headings.extend(["OBJECT", "LISTENERS", "FILTERS", "3XX", "INCOMPLETE", "PROBLEMS"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let any = |list: &[String]| some(&list.join(",")).unwrap_or_else(|| "*".to_owned());
        let backend = |it: &RouteBackendResource| {
            format!("{}:{}", it.upstream.as_deref().unwrap_or("missing"), it.weight)
        };
        let backends: Vec<_> = self.backends.iter().map(backend).collect();
        let requests = self.requests.as_ref();
        let count = |count: Option<u64>| or_dash(count.map(|it| it.to_string()).as_deref());
        let time = |ms: Option<f64>| or_dash(ms.map(milliseconds).as_deref());
        let mut cells = vec![
            self.rule.clone(),
            any(&self.hosts),
            some(&self.matches.join(" | ")).unwrap_or_else(|| "*".to_owned()),
            or_dash(some(&backends.join(",")).as_deref()),
            count(requests.map(|it| it.total)),
            count(requests.map(|it| it.successful)),
            count(requests.map(|it| it.client_errors)),
            count(requests.map(|it| it.server_errors)),
            time(requests.and_then(|it| it.p50_ms)),
            time(requests.and_then(|it| it.p99_ms)),
            state(&self.problems),
            or_dash(self.problems.first().map(String::as_str)),
        ];
        if wide {
            let object = self.object.as_ref().map(|it| {
                format!("{} {}/{} ({})", it.kind, it.namespace, it.name, it.clusters.join(","))
            });
            cells.extend([
                or_dash(object.as_deref()),
                or_dash(some(&self.listeners.join(",")).as_deref()),
                or_dash(some(&self.filters.join(",")).as_deref()),
                count(requests.map(|it| it.redirected)),
                count(requests.map(|it| it.incomplete)),
                or_dash(some(&self.problems.join("; ")).as_deref()),
            ]);
        }
        cells
    }
}

/// An endpoint of an upstream, or an upstream without any.
pub(super) struct UpstreamRow<'a> {
    upstream: &'a UpstreamResource,
    endpoint: Option<&'a EndpointResource>,
}

impl<'a> UpstreamRow<'a> {
    /// The rows of these upstreams.
    pub(super) fn of(upstreams: &'a [UpstreamResource]) -> Vec<Self> {
        let rows = upstreams.iter().flat_map(|upstream| {
            let bare = upstream.endpoints.is_empty().then_some(Self { upstream, endpoint: None });
            let of = move |endpoint| Self { upstream, endpoint: Some(endpoint) };
            upstream.endpoints.iter().map(of).chain(bare)
        });
        rows.collect()
    }
}

impl Row for UpstreamRow<'_> {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec![
            "UPSTREAM",
            "ENDPOINT",
            "ADDRESS",
            "STATE",
            "WEIGHT",
            "REQUESTS",
            "FAILURES",
            "UNDER-WAY",
            "LATENCY",
        ];
        if wide {
            headings.extend(["BALANCE", "CONNECTIONS", "RETRIES", "EJECTIONS", "REASON"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let Self { upstream, endpoint } = self;
        let of = |value: fn(&EndpointResource) -> String| or_dash(endpoint.map(value).as_deref());
        let mut cells = vec![
            upstream.upstream.clone(),
            of(|it| it.endpoint.clone()),
            of(|it| it.address.clone()),
            endpoint.map_or("none", |it| &it.state).to_owned(),
            of(|it| it.weight.to_string()),
            of(|it| it.requests.to_string()),
            of(|it| it.failures.to_string()),
            of(|it| it.under_way.to_string()),
            of(|it| or_dash(it.latency_ms.map(milliseconds).as_deref())),
        ];
        if wide {
            cells.extend([
                upstream.balance.clone(),
                of(|it| it.connections.to_string()),
                of(|it| it.retries.to_string()),
                of(|it| it.ejections.to_string()),
                of(|it| or_dash(it.state_reason.as_deref())),
            ]);
        }
        cells
    }
}

impl Row for CertificateResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec!["CERTIFICATE", "NAMES", "KEY", "EXPIRES", "USABLE"];
        if wide {
            headings.extend(["LISTENERS", "ORIGIN", "FINGERPRINT", "REASON"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let now_s = i64::try_from(wall_ms() / 1_000).unwrap_or(i64::MAX);
        let left_s = self.not_after_s.saturating_sub(now_s);
        let expires = match u64::try_from(left_s) {
            _ if self.not_after_s == 0 => "-".to_owned(),
            Ok(left_s) => format!("in {}", span(left_s.saturating_mul(1_000))),
            Err(_) => format!("{} ago", span(left_s.unsigned_abs().saturating_mul(1_000))),
        };
        let mut cells = vec![
            self.certificate.clone(),
            or_dash(some(&self.names.join(",")).as_deref()),
            or_dash(some(&self.key).as_deref()),
            expires,
            if self.usable { "yes" } else { "no" }.to_owned(),
        ];
        if wide {
            cells.extend([
                or_dash(some(&self.listeners.join(",")).as_deref()),
                self.origin.clone(),
                or_dash(some(&self.fingerprint).as_deref()),
                or_dash(self.reason.as_deref()),
            ]);
        }
        cells
    }
}

/// The text unless it is empty.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn state(problems: &[String]) -> String {
    if problems.is_empty() { "ok" } else { "problem" }.to_owned()
}

/// A time with three digits or so.
pub(super) fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.2}ms") } else { format!("{ms:.0}ms") }
}
