//! Who gets the next request, one file a way.

mod draw;
mod least_request;
mod maglev;
mod peak_ewma;
mod round_robin;

use super::{endpoint::Endpoint, random};
use lb_model::Balance;
use std::{net::SocketAddr, sync::Arc, sync::atomic::AtomicU32};

pub(super) use maglev::Ring;
pub(super) use round_robin::Schedule;

/// How an upstream balances, compiled for its present endpoints.
#[derive(Debug)]
pub(super) enum Balancer {
    /// By latency and requests under way.
    PeakEwma,
    /// In turn.
    RoundRobin(Schedule),
    /// By requests under way.
    LeastRequest,
    /// By hash.
    Maglev(Ring),
}

/// The endpoints that take new requests, and what is known about all of them together.
#[derive(Debug, Default)]
pub(super) struct Takers {
    /// By name and address; weight at least 1.
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    /// Sums of the weights up to and with each.
    pub(super) sums: Vec<u64>,
    /// Whether all weights are equal.
    pub(super) is_even: bool,
}

/// Which endpoints may be chosen now.
pub(super) struct Wanted<'a> {
    /// Not these.
    pub(super) exclude: &'a [SocketAddr],
    /// Also those that are left out for their failures.
    pub(super) ejected_too: bool,
    /// Now.
    pub(super) now_ns: u64,
}

impl Balancer {
    /// For these endpoints.
    pub(super) fn new(balance: &Balance, takers: &Takers, seed: u64) -> Self {
        match balance {
            Balance::PeakEwma => Self::PeakEwma,
            Balance::RoundRobin => Self::RoundRobin(Schedule::new(&takers.endpoints)),
            Balance::LeastRequest => Self::LeastRequest,
            Balance::Maglev(_) => Self::Maglev(Ring::new(&takers.endpoints, seed)),
        }
    }

    /// The next one; `None` if none of the wanted is there.
    pub(super) fn choose<'a>(
        &self,
        takers: &'a Takers,
        wanted: &Wanted<'_>,
        hash: Option<u64>,
        turn: &AtomicU32,
    ) -> Option<&'a Arc<Endpoint>> {
        match (self, hash) {
            (Self::Maglev(ring), Some(hash)) => ring.choose(takers, wanted, hash),
            (Self::PeakEwma, _) | (Self::Maglev(_), None) => peak_ewma::choose(takers, wanted),
            (Self::LeastRequest, _) => least_request::choose(takers, wanted),
            (Self::RoundRobin(schedule), _) => schedule.choose(takers, wanted, turn),
        }
    }
}

impl Takers {
    /// Of these endpoints those that take new requests.
    pub(super) fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        let takers = endpoints.iter().filter(|it| it.takes_new()).map(Arc::clone);
        let endpoints: Vec<_> = takers.collect();
        let sums = endpoints.iter().scan(0, |sum, it| {
            *sum += u64::from(it.weight);
            Some(*sum)
        });
        let sums = sums.collect();
        let mut weights = endpoints.iter().map(|it| it.weight);
        let first = weights.next();
        let is_even = weights.all(|it| Some(it) == first);
        Self { endpoints, sums, is_even }
    }

    /// An endpoint's weight, relative to the average.
    fn relative_weight(&self, endpoint: &Endpoint) -> f64 {
        if self.is_even {
            return 1.0;
        }
        let sum = self.sums.last().copied().unwrap_or(0).max(1);
        f64::from(endpoint.weight) * self.endpoints.len() as f64 / sum as f64
    }
}

impl<'a> Wanted<'a> {
    /// Those that are sound, but these.
    pub(super) fn sound(exclude: &'a [SocketAddr], now_ns: u64) -> Self {
        Self { exclude, ejected_too: false, now_ns }
    }

    /// Whether this one is wanted.
    pub(super) fn admits(&self, endpoint: &Endpoint) -> bool {
        endpoint.state.is_up()
            && (self.ejected_too || !endpoint.state.is_ejected(self.now_ns))
            && !self.exclude.contains(&endpoint.address)
    }

    /// Whether this one is wanted, and its slow start gives it this request.
    fn admits_now(&self, endpoint: &Endpoint) -> bool {
        if !self.admits(endpoint) {
            return false;
        }
        let ramp = endpoint.ramp(self.now_ns);
        ramp >= 1.0 || random::unit() < ramp
    }
}
