//! `Desired`: what the operator wants, whatever source said it. Plain, ordered, comparable,
//! serialisable; no IO, no clock.

mod backend;
mod filter;
mod health;
mod host;
mod listener;
mod proxy;
mod route;
mod secret;
mod service;
mod settings;
mod shared;
mod table;
mod tls;
mod upstream;
mod vip;

pub use backend::Backend;
pub use filter::{
    AddressAccess, Answer, BasicAuth, Compression, Cors, ErrorPage, ExternalAuth, Filters,
    HeaderEdit, HostRewrite, Mirror, PathRewrite, RateLimit, RateLimitKey, Redirect, Rewrite,
};
pub use health::{HealthCheck, Probe};
pub use host::{HostPattern, HostSyntaxError};
pub use listener::{
    Bind, CONNECTIONS_DEFAULT, HttpOptions, Listener, ListenerProtocol, SESSION_IDLE_DEFAULT,
};
pub use proxy::{AccessLog, LogField, Proxy, ProxySettings};
pub use route::{
    CookiePersistence, FieldMatch, PathMatch, RequestMatch, Retry, Route, RouteBackend, Rule,
    StreamBackend, StreamRoute, Timeouts, ValueMatch,
};
pub use secret::Secret;
pub use service::{Affinity, ForwardingMode, Service, UdpPolicy};
pub use settings::{Settings, TunnelSource};
pub use shared::Shared;
pub use table::{Change, Iter, Table};
pub use tls::{
    Certificate, ClientAuth, ClientAuthMode, ListenerTls, SubjectAltName, TlsVersion, UpstreamTls,
    Verify,
};
pub use upstream::{
    Balance, CONNECT_TIMEOUT_DEFAULT, Endpoint, EndpointAddress, HashKey, OutlierDetection,
    ProxyProtocol, UPSTREAM_IDLE_DEFAULT, Upstream, UpstreamLimits, UpstreamProtocol,
};
pub use vip::{Protocol, Vip, VipSyntaxError};

use serde::{Deserialize, Serialize};

/// Everything one data plane should do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Interfaces that traffic for VIPs (and replies, with NAT) arrives on, in file order.
    pub interfaces: Vec<String>,
    /// What holds for the whole data plane.
    pub settings: Settings,
    /// Services by name.
    pub services: Table<String, Service>,
    /// The L7 proxy. Boxed, since what only balances packets should not carry its size about.
    #[serde(default)]
    pub proxy: Box<Proxy>,
}
