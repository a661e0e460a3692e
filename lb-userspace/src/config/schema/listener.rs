//! Listeners: where clients connect, and what is spoken there.

use super::{Located, value::Bytes};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where clients of the L7 proxy connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// Name, unique in the file.
    pub(in crate::config) name: Located<String>,
    /// VIPs whose connections come here, without a bind. At least one of these or of `binds`.
    pub(in crate::config) vips: Option<Located<Vec<Located<String>>>>,
    /// Addresses that are bound the ordinary way, `ADDRESS:PORT` each.
    pub(in crate::config) binds: Option<Located<Vec<Located<String>>>>,
    /// What is spoken.
    pub(in crate::config) protocol: Located<ListenerProtocol>,
    /// Hosts served: by `Host` for HTTP, by SNI for TLS. Default: every one.
    pub(in crate::config) host: Option<Located<String>>,
    /// How TLS is terminated. Needed by `https`; `tls` without it passes TLS through.
    pub(in crate::config) tls: Option<Located<ListenerTls>>,
    /// How HTTP is spoken.
    pub(in crate::config) http: Option<Located<Http>>,
    /// Connections begin with a PROXY protocol header. Default false.
    pub(in crate::config) proxy_protocol: Option<Located<bool>>,
    /// Clients that may connect: addresses and prefixes. Default: everybody.
    pub(in crate::config) sources: Option<Vec<Located<String>>>,
    /// Connections at once. Default 65536.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) connections_max: Option<Located<i64>>,
    /// A session of TCP, TLS or UDP without a byte for this long is over. Default 5m.
    pub(in crate::config) idle_timeout: Option<Located<String>>,
}

/// What is spoken to clients.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ListenerProtocol {
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

/// How a listener terminates TLS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenerTls {
    /// Names of certificates; the first is the default.
    pub(in crate::config) certificates: Located<Vec<Located<String>>>,
    /// Lowest version spoken. Default 1.2.
    pub(in crate::config) version_min: Option<Located<TlsVersion>>,
    /// Highest version spoken. Default 1.3.
    pub(in crate::config) version_max: Option<Located<TlsVersion>>,
    /// Cipher suites by their IANA names. Default: all safe ones.
    pub(in crate::config) cipher_suites: Option<Vec<Located<String>>>,
    /// Whether and how clients show a certificate. Default: they do not.
    pub(in crate::config) client: Option<ClientAuth>,
    /// How long a session can be resumed, or `none`. Default 12h.
    pub(in crate::config) resumption: Option<Located<String>>,
    /// Take 0-RTT data, for safe methods only. Default false.
    pub(in crate::config) early_data: Option<Located<bool>>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// How clients show a certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClientAuth {
    /// File with the authorities, PEM.
    pub(in crate::config) authorities: Located<String>,
    /// What happens to a client without a valid certificate. Default required.
    pub(in crate::config) mode: Option<ClientAuthMode>,
}

/// What happens to a client without a valid certificate.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ClientAuthMode {
    /// The handshake fails.
    Required,
    /// Without one it passes; with an invalid one the handshake fails.
    Optional,
    /// It passes, even with an invalid one.
    InsecureFallback,
}

/// How HTTP is spoken to clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Http {
    /// From the first byte of a request to the end of its header. Default 10s.
    pub(in crate::config) header_timeout: Option<Located<String>>,
    /// Between two requests of a connection. Default 60s.
    pub(in crate::config) keep_alive_timeout: Option<Located<String>>,
    /// Between two reads of a request body, and between two writes of a response. Default 30s.
    pub(in crate::config) body_timeout: Option<Located<String>>,
    /// Bytes of a request line and header section. Default 32KiB.
    pub(in crate::config) header_bytes_max: Option<Bytes>,
    /// Fields of a header section. Default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) header_fields_max: Option<Located<i64>>,
    /// Requests of one connection. Default: no limit.
    #[schemars(range(min = 1))]
    pub(in crate::config) requests_max: Option<Located<i64>>,
    /// HTTP/2 streams at once on one connection. Default 100.
    #[schemars(range(min = 1, max = 65_536))]
    pub(in crate::config) streams_max: Option<Located<i64>>,
    /// HTTP/2 may be spoken. Default true.
    pub(in crate::config) http2: Option<bool>,
    /// Bytes of a request body where the route says nothing, or `none`. Default none.
    pub(in crate::config) body_bytes_max: Option<Bytes>,
    /// Peers whose `X-Forwarded-*` fields are believed: addresses and prefixes. Default: nobody.
    pub(in crate::config) trusted_peers: Option<Vec<Located<String>>>,
    /// Value of `Server` in responses that are made here. Default: no such field.
    pub(in crate::config) server_name: Option<Located<String>>,
}
