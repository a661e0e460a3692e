//! Health checks, of services and of upstreams.

use super::{Located, TextOrNumber};
use schemars::JsonSchema;
use serde::Deserialize;

/// How backends are probed: one of `tcp`, `http` and `none`, and the rhythm.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Health {
    /// A TCP connection must be accepted.
    pub(in crate::config) tcp: Option<TcpProbe>,
    /// `GET` must be answered with a healthy status.
    pub(in crate::config) http: Option<HttpProbe>,
    /// No probing; for a service that should not have the default's probe.
    pub(in crate::config) none: Option<NoProbe>,
    /// Time between probes of one backend, 100ms to 1h. Default 2s.
    pub(in crate::config) interval: Option<Located<String>>,
    /// A probe that takes longer has failed, 10ms to the interval. Default 1s, or the interval
    /// if that is shorter.
    pub(in crate::config) timeout: Option<Located<String>>,
    /// Successes in a row that take a backend back. Default 2.
    #[schemars(range(min = 1, max = 10))]
    pub(in crate::config) rise: Option<Located<i64>>,
    /// Failures in a row that take a backend out. Default 3.
    #[schemars(range(min = 1, max = 10))]
    pub(in crate::config) fall: Option<Located<i64>>,
}

/// A TCP connection must be accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TcpProbe {
    /// Port to probe. Default: the backend's port, or else that of the service's first VIP.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Option<Located<i64>>,
}

/// `GET` must be answered with a healthy status.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HttpProbe {
    /// Path and query, from its `/`.
    pub(in crate::config) path: Located<String>,
    /// `Host` header. Default: the backend's address.
    pub(in crate::config) host: Option<Located<String>>,
    /// Healthy status codes, `FIRST-LAST` or one code. Default 200-399.
    pub(in crate::config) expect: Option<Located<TextOrNumber>>,
    /// Port to probe. Default: the backend's port, or else that of the service's first VIP.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Option<Located<i64>>,
}

/// No probing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct NoProbe {}
