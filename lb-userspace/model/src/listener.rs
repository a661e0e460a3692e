//! A listener: where clients of the L7 proxy connect, and what is spoken there.

use super::{HostPattern, ListenerTls, Vip};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

/// Where clients connect. Several listeners may share an address and port if they speak the same
/// family of protocols and their hosts differ: a request is served only by the listener whose
/// host fits best (Gateway API, `GatewayHTTPListenerIsolation`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// VIPs whose connections are steered here by `sk_lookup`, without a bind. Never port 0.
    pub vips: BTreeSet<Vip>,
    /// Addresses that are bound the ordinary way.
    pub binds: BTreeSet<Bind>,
    /// What is spoken.
    pub protocol: ListenerProtocol,
    /// Hosts served: by `Host` for HTTP, by SNI for TLS. Ignored by TCP and UDP.
    pub host: HostPattern,
    /// How TLS is terminated. Needed by HTTPS; for TLS `None` means passthrough; else `None`.
    pub tls: Option<ListenerTls>,
    /// Connections begin with a PROXY protocol header (v1 or v2), which tells the client; one
    /// without it is closed.
    pub takes_proxy_protocol: bool,
    /// Clients that may connect; empty = all. Connections of others are closed, once the PROXY
    /// protocol has told the client; their datagrams are dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpNet>,
    /// Connections at once over all workers; more are closed at once.
    pub connections_max: u32,
    /// How HTTP is spoken.
    pub http: HttpOptions,
    /// A TCP, TLS or UDP session without a byte in either direction for this long is over.
    pub idle_timeout: Duration,
}

/// An ordinary bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bind {
    /// Address, maybe the unspecified one, and port.
    pub address: SocketAddr,
}

/// What is spoken to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerProtocol {
    /// HTTP/1.1, and HTTP/2 with prior knowledge, in the clear.
    Http,
    /// HTTP/1.1 and HTTP/2 over TLS.
    Https,
    /// TLS, routed by SNI: passed through, or terminated and sent on as TCP.
    Tls,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How HTTP is spoken to clients. Limits are RFC-conforming refusals: 431 for headers, 413 for
/// bodies, 408 for time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpOptions {
    /// From the first byte of a request (or the connection's begin) to the end of its header.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub keep_alive_timeout: Duration,
    /// Between two reads of a request body, and between two writes of a response.
    pub body_timeout: Duration,
    /// Bytes of a request line and header section.
    pub header_bytes_max: u32,
    /// Fields of a header section.
    pub header_fields_max: u16,
    /// Requests of one connection; after the last it is closed. `None` = no limit.
    pub requests_max: Option<u32>,
    /// HTTP/2 streams at once on one connection.
    pub streams_max: u32,
    /// HTTP/2 may be spoken.
    pub http2: bool,
    /// Bytes of a request body where the route says nothing. `None` = no limit.
    pub body_bytes_max: Option<u64>,
    /// Peers whose `X-Forwarded-For`, `-Proto` and `-Host` are believed and extended; those of
    /// others are replaced.
    pub trusted_peers: Vec<IpNet>,
    /// Value of `Server` in responses that are made here; `None` = no such field.
    pub server_name: Option<String>,
}

/// The edge defaults that Envoy documents, with HAProxy's and nginx's timeouts.
impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_secs(30),
            header_bytes_max: 32 * 1_024,
            header_fields_max: 100,
            requests_max: None,
            streams_max: 100,
            http2: true,
            body_bytes_max: None,
            trusted_peers: Vec::new(),
            server_name: None,
        }
    }
}

/// Connections of a listener at once, unless it says otherwise.
pub const CONNECTIONS_DEFAULT: u32 = 65_536;

/// Idle timeout of TCP, TLS and UDP sessions, unless the listener says otherwise.
pub const SESSION_IDLE_DEFAULT: Duration = Duration::from_mins(5);
