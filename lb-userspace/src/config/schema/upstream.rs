//! Upstreams: endpoints that answer alike, and how they are spoken to.

use super::{Health, Located, TextOr};
use schemars::JsonSchema;
use serde::Deserialize;

/// Endpoints that answer alike.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    /// Name, unique among upstreams.
    pub(in crate::config) name: Located<String>,
    /// `ADDRESS:PORT` or `HOST:PORT`, or mappings. May be empty.
    pub(in crate::config) endpoints: Vec<Located<TextOr<Endpoint>>>,
    /// What is spoken. Default auto.
    pub(in crate::config) protocol: Option<UpstreamProtocol>,
    /// TLS is spoken. Default: it is not.
    pub(in crate::config) tls: Option<Located<TextOr<UpstreamTls>>>,
    /// Who gets the next request. Default peak_ewma.
    pub(in crate::config) balance: Option<Balance>,
    /// How endpoints are probed. Default: not at all.
    pub(in crate::config) health: Option<Located<Health>>,
    /// Endpoints that fail real requests are left out for a while: a mapping, or `none`.
    pub(in crate::config) outlier: Option<Located<TextOr<Outlier>>>,
    /// What may be under way at once.
    pub(in crate::config) limits: Option<Limits>,
    /// An endpoint that comes (back) gets its share only after this, or `none`. Default none.
    pub(in crate::config) slow_start: Option<Located<String>>,
    /// To establish a connection, TLS included. Default 5s.
    pub(in crate::config) connect_timeout: Option<Located<String>>,
    /// An unused connection is closed after this. Default 4s.
    pub(in crate::config) idle_timeout: Option<Located<String>>,
    /// Connections begin with a PROXY protocol header. Default: they do not.
    pub(in crate::config) proxy_protocol: Option<ProxyVersion>,
}

/// What an upstream that does not say otherwise gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamDefaults {
    /// As in an upstream.
    pub(in crate::config) protocol: Option<UpstreamProtocol>,
    /// As in an upstream.
    pub(in crate::config) tls: Option<Located<TextOr<UpstreamTls>>>,
    /// As in an upstream.
    pub(in crate::config) balance: Option<Balance>,
    /// As in an upstream.
    pub(in crate::config) health: Option<Located<Health>>,
    /// As in an upstream.
    pub(in crate::config) outlier: Option<Located<TextOr<Outlier>>>,
    /// As in an upstream.
    pub(in crate::config) limits: Option<Limits>,
    /// As in an upstream.
    pub(in crate::config) slow_start: Option<Located<String>>,
    /// As in an upstream.
    pub(in crate::config) connect_timeout: Option<Located<String>>,
    /// As in an upstream.
    pub(in crate::config) idle_timeout: Option<Located<String>>,
    /// As in an upstream.
    pub(in crate::config) proxy_protocol: Option<ProxyVersion>,
}

/// A place that answers, in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Endpoint {
    /// Name, unique in its upstream. Default: address and port.
    pub(in crate::config) name: Option<Located<String>>,
    /// An address, or a host name that is resolved.
    pub(in crate::config) address: Located<String>,
    /// Port.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Located<i64>,
    /// Its share relative to the others. Default 1; 0 takes no new requests.
    #[schemars(range(min = 0, max = 1_000))]
    pub(in crate::config) weight: Option<Located<i64>>,
    /// Take no new requests, except those that persistence binds to it. Default false.
    pub(in crate::config) drain: Option<bool>,
}

/// What is spoken to endpoints.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum UpstreamProtocol {
    /// HTTP/1.1 in the clear; over TLS what both sides agree on.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, in the clear with prior knowledge.
    Http2,
}

/// How TLS is spoken to endpoints.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamTls {
    /// Server name sent and verified. Default: the endpoint's host name.
    pub(in crate::config) server_name: Option<Located<String>>,
    /// How the endpoint's certificate is verified. Default system.
    pub(in crate::config) verify: Option<Located<Verify>>,
    /// File with the authorities that are trusted instead of the system's, PEM.
    pub(in crate::config) authorities: Option<Located<String>>,
    /// Names of which the certificate must have one.
    pub(in crate::config) subject_alt_names: Option<Located<Vec<AltName>>>,
    /// Name of the certificate shown to endpoints that ask. Default: none.
    pub(in crate::config) certificate: Option<Located<String>>,
}

/// How an endpoint's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Verify {
    /// Against the system's authorities.
    System,
    /// Not at all. Anyone on the way can read and change what is sent.
    Insecure,
}

/// A subject alternative name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AltName {
    /// A DNS name.
    Dns(#[schemars(description = "A DNS name; `*.` stands for one label.")] Located<String>),
    /// A URI.
    Uri(#[schemars(description = "A URI, such as a SPIFFE id.")] Located<String>),
}

/// Who gets the next request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Balance {
    /// The better of two by latency and requests under way.
    PeakEwma,
    /// In turn, by weight.
    RoundRobin,
    /// The one of two with fewer requests under way.
    LeastRequest,
    /// By a hash, equal on all routers.
    Maglev(#[schemars(description = "By a hash of this.")] HashKey),
}

/// What is hashed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HashKey {
    /// The client's address.
    Source,
    /// A header field.
    Header(#[schemars(description = "Name of a header field.")] Located<String>),
    /// A cookie.
    Cookie(#[schemars(description = "Name of a cookie.")] Located<String>),
}

/// Endpoints that fail real requests are left out for a while.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Outlier {
    /// Failures in a row that eject. Default 5.
    #[schemars(range(min = 1, max = 1_000))]
    pub(in crate::config) failures: Option<Located<i64>>,
    /// Length of the first ejection. Default 30s.
    pub(in crate::config) ejection: Option<Located<String>>,
    /// Percent of endpoints that may be ejected at once. Default 10.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) ejected_percent_max: Option<Located<i64>>,
}

/// What may be under way at once. Beyond it requests get 503 at once.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "keys of the file, which say what is limited")]
pub(in crate::config) struct Limits {
    /// Connections to one endpoint. Default 10000.
    #[schemars(range(min = 1))]
    pub(in crate::config) connections_max: Option<Located<i64>>,
    /// Requests under way over all endpoints. Default 100000.
    #[schemars(range(min = 1))]
    pub(in crate::config) requests_max: Option<Located<i64>>,
    /// Requests that wait for a connection. Default 10000.
    #[schemars(range(min = 0))]
    pub(in crate::config) pending_max: Option<Located<i64>>,
    /// Retries under way, in percent of the requests under way. Default 20.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) retries_percent_max: Option<Located<i64>>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ProxyVersion {
    /// The line of text.
    V1,
    /// The binary header.
    V2,
}
