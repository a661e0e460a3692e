//! What holds for all endpoints of an upstream.

use super::{limits::Retries, outlier::Roster, statistics::Counter};
use crate::{secure::ClientTls, stream::Outgoing};
use arc_swap::ArcSwap;
use lb_model::{OutlierDetection, Upstream, UpstreamLimits, UpstreamProtocol};
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
    /// How a connection begins.
    pub(super) outgoing: Outgoing,
    /// When endpoints are left out.
    pub(super) outlier: Option<OutlierDetection>,
    /// What may be under way.
    pub(super) limits: UpstreamLimits,
    /// How long an endpoint that comes is spared.
    pub(super) slow_start: Duration,
    /// How long a connection is kept unused.
    pub(super) idle_timeout: Duration,
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
            outgoing: Outgoing {
                connect_timeout: model.connect_timeout,
                proxy_protocol: model.sends_proxy_protocol,
                tls,
            },
            outlier: model.outlier.clone(),
            limits: model.limits,
            slow_start: model.slow_start,
            idle_timeout: model.idle_timeout,
        }
    }
}
