//! What holds for the whole L7 proxy, and certificates.

use super::Located;
use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for the whole L7 proxy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Proxy {
    /// Worker threads. Default: one per CPU that may be used. Takes effect at start.
    #[schemars(range(min = 1, max = 1_024))]
    pub(in crate::config) workers: Option<Located<i64>>,
    /// Connections of clients at once, over all listeners. Default 262144.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) connections_max: Option<Located<i64>>,
    /// Some requests get 503 while all wait longer than this for a worker's CPU; `none` = never.
    /// Default 50ms.
    pub(in crate::config) queue_delay_max: Option<Located<String>>,
    /// How long open requests may go on when the proxy stops or hands over. Default 30s.
    pub(in crate::config) drain_timeout: Option<Located<String>>,
    /// The access log. Default: none is written.
    pub(in crate::config) access_log: Option<AccessLog>,
}

/// The access log: a JSON object a line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AccessLog {
    /// A file that lines are appended to. Default: standard output.
    pub(in crate::config) file: Option<Located<String>>,
    /// Fields written, in this order. Default: all but header fields.
    pub(in crate::config) fields: Option<Vec<Located<LogField>>>,
    /// Only responses with at least this status. Default: all.
    #[schemars(range(min = 100, max = 599))]
    pub(in crate::config) status_min: Option<Located<i64>>,
    /// Only one in so many of those. Default 1.
    #[schemars(range(min = 1))]
    pub(in crate::config) one_in: Option<Located<i64>>,
    /// Only requests of these listeners. Default: of all.
    pub(in crate::config) listeners: Option<Vec<Located<String>>>,
}

/// A field of the access log.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LogField {
    /// When the request's header was complete.
    Time,
    /// Name of the listener.
    Listener,
    /// Name of the route, and of the rule if it has one.
    Route,
    /// Name of the upstream.
    Upstream,
    /// Address and port of the endpoint that answered.
    Endpoint,
    /// The client's address.
    ClientAddress,
    /// Address of the connection's other end.
    PeerAddress,
    /// Method.
    Method,
    /// Scheme.
    Scheme,
    /// Host as the client wrote it.
    Host,
    /// Path and query as the client wrote them.
    Path,
    /// `HTTP/1.1`, `HTTP/2`.
    Protocol,
    /// Status of the response.
    Status,
    /// Why a response was made here instead of by a backend.
    Reason,
    /// Bytes of the request body.
    RequestBytes,
    /// Bytes of the response body.
    ResponseBytes,
    /// Milliseconds from the request's header to the end of the response.
    DurationMs,
    /// Milliseconds to the first byte of the backend's response.
    BackendMs,
    /// Tries sent to backends.
    Tries,
    /// Request id.
    RequestId,
    /// Trace id of `traceparent`.
    TraceId,
    /// TLS version and cipher suite.
    Tls,
    /// SNI.
    ServerName,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
    /// A field of the request.
    RequestHeader(#[schemars(description = "Name of a request field.")] Located<String>),
    /// A field of the response.
    ResponseHeader(#[schemars(description = "Name of a response field.")] Located<String>),
}

/// A certificate with its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// Name, unique in the file.
    pub(in crate::config) name: Located<String>,
    /// File with the chain, leaf first, PEM.
    pub(in crate::config) chain: Located<String>,
    /// File with the private key, PEM.
    pub(in crate::config) key: Located<String>,
    /// File with an OCSP response to staple, DER. Default: none.
    pub(in crate::config) ocsp: Option<Located<String>>,
}
