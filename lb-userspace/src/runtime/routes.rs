//! Keeps the driver told how backends are reached.

use super::Event;
use crate::{
    admin::{Status, address},
    dataplane::{Neighbours, watch_neighbours},
    model::Desired,
    observe::RateLimit,
    reconcile::Reach,
};
use anyhow::Result;
use arc_swap::ArcSwap;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time};

/// How often next hops are confirmed and looked at without an event.
const REFRESH: Duration = Duration::from_secs(15);

/// At most one line about failing look-ups in this time.
const LOG_PERIOD: Duration = Duration::from_mins(1);

/// Asks the kernel how backend addresses are reached.
#[derive(Clone)]
pub struct Routes {
    neighbours: Arc<Mutex<Neighbours>>,
    /// Addresses of the newest configuration that was read, whether or not it is in force yet.
    candidates: Arc<Mutex<BTreeSet<IpAddr>>>,
}

impl Routes {
    /// Opens netlink, in the network namespace of the calling thread.
    pub fn open() -> Result<Self> {
        let neighbours = Arc::new(Mutex::new(Neighbours::open()?));
        Ok(Self { neighbours, candidates: Arc::default() })
    }

    /// How the backends of `desired` and of what runs are reached.
    pub async fn reach(
        &self,
        desired: &Desired,
        status: &Arc<ArcSwap<Status>>,
    ) -> Result<BTreeMap<IpAddr, Reach>> {
        *lock(&self.candidates) = backend_addresses(desired);
        self.look(status, false).await
    }

    /// Tells `events` of changes until nobody listens any more.
    pub async fn watch(
        self,
        status: Arc<ArcSwap<Status>>,
        events: mpsc::Sender<Event>,
    ) -> Result<()> {
        let mut changes = watch_neighbours()?;
        let mut refresh = time::interval(REFRESH);
        let mut limit = RateLimit::new(LOG_PERIOD);
        loop {
            let (confirms, links) = tokio::select! {
                Some(change) = changes.recv() => (false, change.links),
                _ = refresh.tick() => (true, false),
                () = events.closed() => return Ok(()),
            };
            if links && events.send(Event::Links).await.is_err() {
                return Ok(());
            }
            match self.look(&status, confirms).await {
                Ok(reach) if reach == status.load().observed.reach => {}
                Ok(reach) => {
                    if events.send(Event::Reach(reach)).await.is_err() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    if let Some(suppressed) = limit.admit(Instant::now()) {
                        tracing::warn!("routes cannot be read: {error:#} ({suppressed} more such)");
                    }
                }
            }
        }
    }

    async fn look(
        &self,
        status: &Arc<ArcSwap<Status>>,
        confirms: bool,
    ) -> Result<BTreeMap<IpAddr, Reach>> {
        let mut addresses = lock(&self.candidates).clone();
        addresses.extend(running_addresses(&status.load()));
        let neighbours = Arc::clone(&self.neighbours);
        let look = move || {
            let mut neighbours = lock(&neighbours);
            if confirms {
                neighbours.refresh(&addresses)?;
            }
            neighbours.reach(&addresses)
        };
        Ok(tokio::task::spawn_blocking(look).await??)
    }
}

/// Every address of every backend.
pub fn backend_addresses(desired: &Desired) -> BTreeSet<IpAddr> {
    let backends = desired.services.values().flat_map(|service| service.backends.values());
    let addresses =
        backends.flat_map(|backend| [backend.ipv4.map(IpAddr::V4), backend.ipv6.map(IpAddr::V6)]);
    addresses.flatten().collect()
}

fn running_addresses(status: &Status) -> BTreeSet<IpAddr> {
    let backends = status.image.vips.values().flat_map(|vip| vip.backends.values());
    backends.map(|backend| address(backend.entry.address)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
