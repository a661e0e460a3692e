//! What holds for all endpoints of an upstream.

use super::{limits::Retries, outlier::Roster, statistics::Counter};
use crate::secure::ClientTls;
use arc_swap::ArcSwap;
use lb_model::{OutlierDetection, ProxyProtocol, Upstream, UpstreamLimits, UpstreamProtocol};
use std::{
    sync::{Arc, Mutex, atomic::AtomicU32},
    time::Duration,
};

/// How endpoints of an upstream are spoken to, as one configuration has it.
#[derive(Debug)]
pub(super) struct Settings {
    /// Name of the upstream.
    pub(super) name: Arc<str>,
    /// What is spoken.
    pub(super) protocol: UpstreamProtocol,
    /// TLS, if it is spoken.
    pub(super) tls: Option<Arc<ClientTls>>,
    /// When endpoints are left out.
    pub(super) outlier: Option<OutlierDetection>,
    /// What may be under way.
    pub(super) limits: UpstreamLimits,
    /// How long an endpoint that comes is spared.
    pub(super) slow_start: Duration,
    /// How long connecting may take.
    pub(super) connect_timeout: Duration,
    /// How long a connection is kept unused.
    pub(super) idle_timeout: Duration,
    /// Whether connections tell the client.
    pub(super) sends_proxy_protocol: Option<ProxyProtocol>,
}

/// What an upstream has under way. Outlives the configuration.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Requests under way over all endpoints.
    pub(super) under_way: AtomicU32,
    /// Requests that wait for a connection.
    pub(super) pending: AtomicU32,
    /// Retries under way.
    pub(super) retries: Retries,
    /// Requests that a limit stopped.
    pub(super) refused: Counter,
    /// Requests for which there was no endpoint.
    pub(super) without_endpoint: Counter,
    /// Where in turn it is.
    pub(super) turn: AtomicU32,
    /// All endpoints, for the decision whether one may be ejected.
    pub(super) roster: ArcSwap<Roster>,
    /// Held by who ejects.
    pub(super) ejecting: Mutex<()>,
}

impl Settings {
    /// From the model. `tls` belongs to [`Upstream::tls`].
    pub(super) fn new(name: &str, model: &Upstream, tls: Option<Arc<ClientTls>>) -> Self {
        Self {
            name: name.into(),
            protocol: model.protocol,
            tls,
            outlier: model.outlier.clone(),
            limits: model.limits,
            slow_start: model.slow_start,
            connect_timeout: model.connect_timeout,
            idle_timeout: model.idle_timeout,
            sends_proxy_protocol: model.sends_proxy_protocol,
        }
    }
}
