//! What the L7 proxy should do.

use super::{Certificate, Listener, Route, Shared, StreamRoute, Table, Upstream};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Everything the L7 proxy should do. Names referred to are there, unless the type says otherwise.
/// There may be very many of each thing: what is made of them is made of those that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// What holds for the whole proxy.
    pub settings: ProxySettings,
    /// Listeners by name.
    pub listeners: Table<String, Listener>,
    /// HTTP routes by name.
    pub routes: Table<String, Shared<Route>>,
    /// Routes of TCP, TLS and UDP listeners by name.
    pub stream_routes: Table<String, StreamRoute>,
    /// Upstreams by name.
    pub upstreams: Table<String, Shared<Upstream>>,
    /// Certificates by name.
    pub certificates: Table<String, Certificate>,
}

/// What holds for the whole proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySettings {
    /// Worker threads; `None` = one per CPU that may be used. Takes effect at start.
    pub workers: Option<u16>,
    /// Connections of clients at once, over all listeners; more are closed at once.
    pub connections_max: u32,
    /// Some requests are refused while what is ready waits longer than this for a worker's CPU;
    /// `None` = never.
    #[serde(default = "queue_delay_max", skip_serializing_if = "is_usual_queue_delay_max")]
    pub queue_delay_max: Option<Duration>,
    /// How long open requests may go on when the proxy stops or hands over.
    pub drain_timeout: Duration,
    /// The access log; `None` = none is written.
    pub access_log: Option<AccessLog>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            workers: None,
            connections_max: 262_144,
            queue_delay_max: queue_delay_max(),
            drain_timeout: Duration::from_secs(30),
            access_log: None,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the field's type")]
fn queue_delay_max() -> Option<Duration> {
    Some(Duration::from_millis(50))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn is_usual_queue_delay_max(it: &Option<Duration>) -> bool {
    *it == queue_delay_max()
}

/// The access log: a JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// A file that lines are appended to (opened again on SIGHUP); `None` = standard output.
    pub file: Option<String>,
    /// Fields written, in this order; empty = all but header fields.
    pub fields: Vec<LogField>,
    /// Only responses with at least this status; 0 = all.
    pub status_min: u16,
    /// Only one in so many of those; at least 1.
    pub one_in: u32,
    /// Only requests of these listeners; empty = of all.
    pub listeners: BTreeSet<String>,
}

/// A field of the access log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogField {
    /// When the request's header was complete, RFC 3339 with microseconds, UTC.
    Time,
    /// Name of the listener.
    Listener,
    /// Name of the route, and of the rule if it has one.
    Route,
    /// Name of the upstream.
    Upstream,
    /// Address and port of the endpoint that answered.
    Endpoint,
    /// The client's address (as PROXY protocol or a trusted peer tells it).
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
    /// Status of the response; 0 = the client went before there was one.
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
    /// A request field, lower case.
    RequestHeader(String),
    /// A response field, lower case.
    ResponseHeader(String),
}
