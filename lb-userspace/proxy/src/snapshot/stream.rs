//! Where the sessions of TCP, TLS and UDP listeners go.

use crate::{
    http::Reason,
    secure::ClientTls,
    send::{self, Upstream},
    stream::{self, Outgoing, Pick},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Where the sessions of a stream route go: upstreams, in turn by weight.
#[derive(Debug)]
pub struct StreamPlan {
    backends: Vec<StreamBackend>,
    /// Sums of the weights up to and with each.
    sums: Vec<u64>,
    turn: AtomicU64,
}

#[derive(Debug)]
struct StreamBackend {
    upstream: Option<Arc<Upstream>>,
    outgoing: Arc<Outgoing>,
}

/// What stream routes refer to.
#[derive(Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) upstreams: &'a BTreeMap<Arc<str>, Arc<Upstream>>,
    pub(super) client_tls: &'a BTreeMap<Arc<str>, Arc<ClientTls>>,
}

/// Spreads turns over the weights: any odd constant near the golden ratio of 2^64 does
/// (Knuth, The Art of Computer Programming, volume 3, section 6.4).
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

impl StreamPlan {
    pub(super) fn compile(
        route: &lb_model::StreamRoute,
        models: &BTreeMap<String, lb_model::Upstream>,
        targets: Targets<'_>,
    ) -> Self {
        let backend = |it: &lb_model::StreamBackend| {
            let name = it.upstream.as_deref().unwrap_or_default();
            let model = models.get(name);
            StreamBackend {
                upstream: targets.upstreams.get(name).cloned(),
                outgoing: Arc::new(Outgoing {
                    connect_timeout: model.map_or(Duration::ZERO, |it| it.connect_timeout),
                    proxy_protocol: model.and_then(|it| it.sends_proxy_protocol),
                    tls: targets.client_tls.get(name).cloned(),
                }),
            }
        };
        let sums = route.backends.iter().scan(0, |sum, it| {
            *sum += u64::from(it.weight);
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            backends: route.backends.iter().map(backend).collect(),
            turn: AtomicU64::new(0),
        }
    }

    fn choose(&self) -> Option<&StreamBackend> {
        let all = self.sums.last().copied().filter(|all| *all > 0)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(STRIDE);
        let place = ((u128::from(turn) * u128::from(all)) >> 64) as u64;
        self.backends.get(self.sums.partition_point(|sum| *sum <= place))
    }
}

/// An endpoint held for a session.
#[derive(Debug)]
pub struct SessionLease {
    lease: send::Lease,
    outgoing: Arc<Outgoing>,
}

impl Pick for Arc<StreamPlan> {
    type Lease = SessionLease;

    fn pick(&self, client: SocketAddr, exclude: &[SocketAddr]) -> Result<SessionLease, Reason> {
        let backend = self.choose().ok_or(Reason::BackendMissing)?;
        let upstream = backend.upstream.as_ref().ok_or(Reason::BackendMissing)?;
        let lease = upstream.pick(&upstream.key(client.ip(), None), exclude)?;
        Ok(SessionLease { lease, outgoing: Arc::clone(&backend.outgoing) })
    }
}

impl stream::Lease for SessionLease {
    fn address(&self) -> SocketAddr {
        self.lease.address()
    }

    fn host_name(&self) -> Option<&str> {
        self.lease.host_name()
    }

    fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn succeeded(&self, latency: Duration) {
        self.lease.succeeded(latency);
    }

    fn failed(&self) {
        self.lease.failed();
    }
}
