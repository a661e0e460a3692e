//! What a worker sends with.

use super::pool::Pools;
use std::{rc::Rc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// How often unused connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker sends with: its connections to endpoints.
#[derive(Default)]
pub struct Sender {
    pub(super) pools: Pools,
}

impl Sender {
    /// Without connections. Connections run as tasks of the worker's local set; the worker runs
    /// [`Sender::tend`] beside its other tasks.
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// Closes connections that are unused for too long. Never ends.
    pub async fn tend(&self) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.pools.sweep();
        }
    }
}
