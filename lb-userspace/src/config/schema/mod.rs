//! The file syntax, and the only place that knows it. What the values must be beyond their type
//! is checked where they are lowered; the reference for people is `docs/CONFIG.md`.
//!
//! All that may be left out is an `Option`, so that a key without a value (all lines of a section
//! commented out) means the same as no key.

mod auth;
mod filter;
mod health;
mod kubernetes;
mod listener;
mod proxy;
mod route;
mod service;
mod settings;
mod upstream;
mod value;

pub(super) use auth::{BasicAuth, ExternalAuth};
pub(super) use filter::{
    Access, BackendFilters, Compression, Cors, ErrorPage, Filters, Fixed, HeaderEdit, Mirror,
    PathRewrite, RateKey, RateLimit, Redirect, Rewrite, Scheme,
};
pub(super) use health::{Health, HttpProbe, NoProbe};
pub(super) use kubernetes::{
    ConfigMap, Discovery, DiscoveryRule, IngressAddress, Kubernetes, Pool,
};
pub(super) use listener::{
    ClientAuth, ClientAuthMode, Http, Listener, ListenerProtocol, ListenerTls, TlsVersion,
};
pub(super) use proxy::{AccessLog, Certificate, LogField, Proxy};
pub(super) use route::{
    PathMatch, Persistence, RequestMatch, Retry, Route, RouteBackend, Rule, StreamRoute, Timeouts,
    ValueMatch,
};
pub(super) use service::{Affinity, Backend, Mode, Service, Udp};
pub(super) use settings::{Settings, TunnelSource};
pub(super) use upstream::{
    AltName, Balance, Endpoint, HashKey, Limits, Outlier, ProxyVersion, Upstream, UpstreamDefaults,
    UpstreamProtocol, UpstreamTls, Verify,
};
pub(super) use value::{Entries, TextOr, TextOrNumber, Texts};

use super::located::Located;
use schemars::JsonSchema;
use serde::Deserialize;

/// A whole configuration file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lbd configuration")]
pub(super) struct File {
    /// Interfaces that traffic for VIPs arrives on; with NAT also those that backends answer on.
    /// Needed with services, and with listeners that have VIPs.
    pub(super) interfaces: Option<Located<Vec<Located<String>>>>,
    /// What holds for the whole data plane.
    pub(super) settings: Option<Settings>,
    /// What a service or an upstream that does not say otherwise gets.
    pub(super) defaults: Option<Defaults>,
    /// The services. May be empty, but must be written if there are neither listeners nor clusters.
    pub(super) services: Option<Vec<Service>>,
    /// What holds for the whole L7 proxy.
    pub(super) proxy: Option<Proxy>,
    /// Certificates with their keys.
    pub(super) certificates: Option<Vec<Certificate>>,
    /// Where clients of the L7 proxy connect.
    pub(super) listeners: Option<Vec<Listener>>,
    /// Which HTTP requests go where.
    pub(super) routes: Option<Vec<Route>>,
    /// Where connections of TCP, TLS and UDP listeners go.
    pub(super) stream_routes: Option<Vec<StreamRoute>>,
    /// Endpoints that answer alike, and how they are spoken to.
    pub(super) upstreams: Option<Vec<Upstream>>,
    /// Clusters that are watched, and what of them is served.
    pub(super) kubernetes: Option<Kubernetes>,
}

/// What a service or an upstream that does not say otherwise gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// As in a service.
    pub(super) mode: Option<Mode>,
    /// As in a service.
    pub(super) affinity: Option<Affinity>,
    /// As in a service.
    pub(super) udp: Option<Udp>,
    /// As in a service.
    pub(super) idle_timeout: Option<Located<String>>,
    /// As in a service.
    #[schemars(range(min = 101, max = 65_537))]
    pub(super) ring_slots: Option<Located<i64>>,
    /// As in a service.
    pub(super) health: Option<Located<Health>>,
    /// What an upstream that does not say otherwise gets.
    pub(super) upstream: Option<UpstreamDefaults>,
}
