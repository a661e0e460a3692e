//! An upstream: endpoints that answer alike, and how they are spoken to.

use super::{HealthCheck, UpstreamTls};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Endpoints that answer alike. Health and statistics belong to the pair of upstream and endpoint,
/// never to a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Endpoints by name. May be empty: 503.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What is spoken.
    pub protocol: UpstreamProtocol,
    /// TLS, if it is spoken.
    pub tls: Option<UpstreamTls>,
    /// Who gets the next request.
    pub balance: Balance,
    /// Active health check; `None` = endpoints are taken as healthy.
    pub health: Option<HealthCheck>,
    /// Endpoints that fail real requests are left out for a while.
    pub outlier: Option<OutlierDetection>,
    /// What may be under way at once.
    pub limits: UpstreamLimits,
    /// An endpoint that comes (back) gets its share only after this; zero = at once.
    pub slow_start: Duration,
    /// From the begin of a connection to its establishment, TLS included.
    pub connect_timeout: Duration,
    /// An unused connection is closed after this.
    pub idle_timeout: Duration,
    /// Connections begin with a PROXY protocol header that tells the client.
    pub sends_proxy_protocol: Option<ProxyProtocol>,
}

/// A place that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where.
    pub address: EndpointAddress,
    /// Port.
    pub port: u16,
    /// Its share relative to the others, 0..=1,000; 0 takes no new requests.
    pub weight: u16,
    /// Takes no new requests, except those that persistence binds to it.
    pub drain: bool,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointAddress {
    /// An address.
    Ip(IpAddr),
    /// A DNS name: every address it has is an endpoint. Resolved again when its TTL is over; the
    /// last good answer is kept while the name server fails.
    Name(String),
}

/// What is spoken to endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1 in the clear; over TLS what ALPN agrees on.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, in the clear with prior knowledge.
    Http2,
}

/// Who gets the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The better of two by moving average of latency times requests under way (Finagle's peak
    /// EWMA, as linkerd uses it).
    #[default]
    PeakEwma,
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The one of two with fewer requests under way, relative to its weight.
    LeastRequest,
    /// By a hash over a Maglev table, equal on all routers.
    Maglev(HashKey),
}

/// What is hashed. Requests without it are balanced as by [`Balance::PeakEwma`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashKey {
    /// The client's address.
    Source,
    /// A header field: lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// Endpoints that fail real requests are left out for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlierDetection {
    /// Failures in a row (5xx, connection errors, timeouts) that eject.
    pub failures: u32,
    /// The first ejection's length; the next ones are longer by as much each, up to ten times.
    pub ejection: Duration,
    /// Percent of endpoints that may be ejected at once; at least one may, if another stays.
    pub ejected_percent_max: u8,
}

/// What may be under way at once: circuit breaking. Beyond it requests get 503 at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamLimits {
    /// Connections to one endpoint.
    pub connections_max: u32,
    /// Requests under way over all endpoints.
    pub requests_max: u32,
    /// Requests that wait for a connection.
    pub pending_max: u32,
    /// Retries under way, in percent of the requests under way (at least three may be): the
    /// retry budget.
    pub retries_percent_max: u8,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            requests_max: 100_000,
            pending_max: 10_000,
            retries_percent_max: 20,
        }
    }
}

/// A version of the PROXY protocol (HAProxy, proxy-protocol.txt).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// The line of text.
    V1,
    /// The binary header.
    V2,
}

/// Default of [`Upstream::connect_timeout`].
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Default of [`Upstream::idle_timeout`]: shorter than the keep-alive of common servers (Node.js:
/// 5 s; nginx: 75 s) would be rude, longer would race with their close.
pub const UPSTREAM_IDLE_DEFAULT: Duration = Duration::from_secs(4);

impl Default for Upstream {
    fn default() -> Self {
        Self {
            endpoints: BTreeMap::new(),
            protocol: UpstreamProtocol::default(),
            tls: None,
            balance: Balance::default(),
            health: None,
            outlier: None,
            limits: UpstreamLimits::default(),
            slow_start: Duration::ZERO,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            idle_timeout: UPSTREAM_IDLE_DEFAULT,
            sends_proxy_protocol: None,
        }
    }
}
