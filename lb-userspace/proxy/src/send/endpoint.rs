//! An endpoint: where requests go, and what is known about it.

use super::{
    average::Average,
    clock::{nanoseconds, now_ns},
    pool::PoolKey,
    settings::{Settings, Shared},
    statistics::Counters,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Expected latency of an endpoint that nobody asked yet (linkerd's `default_rtt`).
const LATENCY_DEFAULT: Duration = Duration::from_millis(30);

/// What a failure counts for, as a latency (linkerd's `penalty_secs`).
const FAILURE_PENALTY: Duration = Duration::from_secs(5);

/// The smallest share in slow start.
const SLOW_START_MIN: f64 = 0.1;

/// A place that answers, as one configuration has it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its name in the configuration.
    pub(super) name: Arc<str>,
    /// Where.
    pub(super) address: SocketAddr,
    /// Its DNS name, if it has one.
    pub(super) host_name: Option<Arc<str>>,
    /// Its share relative to the others.
    pub(super) weight: u16,
    /// Takes no new requests but those that persistence binds to it.
    pub(super) drain: bool,
    /// What persistence knows it by.
    pub(super) id: u128,
    /// Where its connections are kept.
    pub(super) pool_key: Arc<PoolKey>,
    /// What is known about it; outlives the configuration.
    pub(super) state: Arc<State>,
    /// How its upstream is spoken to.
    pub(super) settings: Arc<Settings>,
    /// What its upstream has under way; outlives the configuration.
    pub(super) shared: Arc<Shared>,
}

/// What is known about an endpoint. A cache line of its own (two, as they are fetched in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct State {
    /// Requests under way.
    pub(super) under_way: AtomicU32,
    /// Connections open or being opened.
    pub(super) connections: AtomicU32,
    /// Requests of all workers that wait until one of the connections is free.
    pub(super) waiting: AtomicU32,
    /// Told when one is closed.
    pub(super) closed: Notify,
    /// Failures in a row.
    pub(super) failures_in_row: AtomicU32,
    /// Ejections since it was sound for long.
    pub(super) ejections_in_row: AtomicU32,
    /// When the last ejection ends; 0 = never ejected.
    pub(super) ejected_until_ns: AtomicU64,
    /// What was counted.
    pub(super) counters: Counters,
    is_down: AtomicBool,
    /// When it came (back); 0 = it was always there.
    came_ns: AtomicU64,
    latency: Average,
    penalty: Average,
}

impl Endpoint {
    /// Whether it takes new requests, as far as the configuration says.
    pub(super) fn takes_new(&self) -> bool {
        self.weight > 0 && !self.drain
    }

    /// The part of its weight that counts now: less than 1 in slow start.
    pub(super) fn ramp(&self, now_ns: u64) -> f64 {
        let slow_start = nanoseconds(self.settings.slow_start);
        if slow_start == 0 {
            return 1.0;
        }
        let came = self.state.came_ns.load(Relaxed);
        let came = came.max(self.state.ejected_until_ns.load(Relaxed));
        if came == 0 {
            return 1.0;
        }
        let part = now_ns.saturating_sub(came) as f64 / slow_start as f64;
        part.clamp(SLOW_START_MIN, 1.0)
    }
}

impl State {
    /// A new endpoint. `came_late` = others were there before it.
    pub(super) fn new(came_late: bool) -> Self {
        let now = now_ns();
        Self {
            under_way: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            closed: Notify::new(),
            failures_in_row: AtomicU32::new(0),
            ejections_in_row: AtomicU32::new(0),
            ejected_until_ns: AtomicU64::new(0),
            counters: Counters::default(),
            is_down: AtomicBool::new(false),
            came_ns: AtomicU64::new(if came_late { now } else { 0 }),
            latency: Average::new(nanoseconds(LATENCY_DEFAULT) as f64, now),
            penalty: Average::default(),
        }
    }

    /// Whether active checks hold it for healthy, or there are none.
    pub(super) fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    /// Takes the verdict of active checks.
    pub(super) fn set_up(&self, is_up: bool) {
        let was_down = self.is_down.swap(!is_up, Relaxed);
        if was_down && is_up {
            self.came_ns.store(now_ns(), Relaxed);
            self.failures_in_row.store(0, Relaxed);
        }
    }

    /// Whether it is left out for its failures.
    pub(super) fn is_ejected(&self, now_ns: u64) -> bool {
        self.ejected_until_ns.load(Relaxed) > now_ns
    }

    /// Notes an answer that took so long.
    pub(super) fn answered(&self, latency: Duration, now_ns: u64) {
        self.latency.take(nanoseconds(latency) as f64, now_ns);
        self.counters.latency_ns.add(nanoseconds(latency));
        if self.failures_in_row.load(Relaxed) != 0 {
            self.failures_in_row.store(0, Relaxed);
        }
    }

    /// Notes a failure; how many in a row that makes.
    pub(super) fn failed(&self) -> u32 {
        self.penalty.take(nanoseconds(FAILURE_PENALTY) as f64, now_ns());
        self.counters.failures.add(1);
        self.failures_in_row.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Expected wait, in nanoseconds: latency times requests under way (relative to the weight,
    /// `weight` = 1 on the average), not less than what failures count for.
    pub(super) fn load(&self, weight: f64, now_ns: u64) -> f64 {
        let under_way = f64::from(self.under_way.load(Relaxed));
        let load = self.latency.value(now_ns) * (1.0 + under_way / weight);
        load.max(self.penalty.value(now_ns))
    }

    /// The moving average of its latency.
    pub(super) fn latency(&self) -> Duration {
        Duration::from_secs_f64(self.latency.value(now_ns()) / 1e9)
    }
}
