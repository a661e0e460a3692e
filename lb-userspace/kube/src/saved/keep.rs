//! Writes a cluster's state as it changes, but not more often than that is worth.

use super::{Assigned, Shelf};
use crate::{ClusterOptions, Objects};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

/// Time between two writes, at least.
const PERIOD: Duration = Duration::from_secs(5);

/// The time between two writes is at least this many times what the last one took: a large cluster
/// that changes all the time must not cost a CPU.
const REST_FACTOR: u32 = 20;

/// How often a state that does not change is confirmed.
const CONFIRM_PERIOD: Duration = Duration::from_mins(1);

/// Keeps the state of one cluster. When dropped, it writes what is not written yet.
#[derive(Debug)]
pub(crate) struct Keeper {
    latest: watch::Sender<Option<Arc<(Objects, Assigned)>>>,
    is_live: Arc<AtomicBool>,
    problem: watch::Receiver<Option<String>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Begins to keep. Must be called within a tokio runtime.
    pub(crate) fn start(shelf: Shelf, options: ClusterOptions) -> Self {
        let (latest, given) = watch::channel(None);
        let (told, problem) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let is_live = Arc::<AtomicBool>::default();
        let run = Run {
            shelf,
            options: Arc::new(options),
            given,
            is_live: Arc::clone(&is_live),
            told,
            has_written: false,
        };
        Self { latest, is_live, problem, stop, task: tokio::spawn(run.run(stopped)) }
    }

    /// Keeps this from now on.
    pub(crate) fn keep(&self, objects: Objects, assigned: Assigned) {
        self.latest.send_replace(Some(Arc::new((objects, assigned))));
    }

    /// Whether what was last given to keep still is so.
    pub(crate) fn set_live(&self, is_live: bool) {
        self.is_live.store(is_live, Ordering::Relaxed);
    }

    /// Why nothing can be kept.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// Writes what is not written yet, and ends.
    pub(crate) async fn finish(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the state of a cluster was not saved");
        }
    }
}

struct Run {
    shelf: Shelf,
    options: Arc<ClusterOptions>,
    given: watch::Receiver<Option<Arc<(Objects, Assigned)>>>,
    is_live: Arc<AtomicBool>,
    told: watch::Sender<Option<String>>,
    has_written: bool,
}

impl Run {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                changed = self.given.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let took = self.write().await;
                    tokio::select! {
                        () = sleep(PERIOD.max(took * REST_FACTOR)) => {}
                        _ = &mut stopped => break,
                    }
                }
                () = sleep(CONFIRM_PERIOD), if self.has_written => self.confirm().await,
                _ = &mut stopped => break,
            }
        }
        if self.given.has_changed().unwrap_or_default() {
            self.write().await;
        } else {
            self.confirm().await;
        }
    }

    /// Writes what is to be kept; returns how long that took.
    async fn write(&mut self) -> Duration {
        let Some(kept) = self.given.borrow_and_update().clone() else { return Duration::ZERO };
        let began = Instant::now();
        let (shelf, options) = (self.shelf.clone(), Arc::clone(&self.options));
        let stored = spawn_blocking(move || shelf.store(&options, &kept.0, &kept.1)).await;
        let cluster = &self.options.name;
        let result = match stored {
            Ok(stored) => stored.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &result
            && self.told.borrow().is_none()
        {
            let path = self.shelf.path(cluster);
            tracing::error!(cluster, error, path = %path.display(), "its state cannot be saved");
        }
        self.has_written = result.is_ok();
        self.told.send_replace(result.err());
        began.elapsed()
    }

    async fn confirm(&self) {
        if !self.has_written || !self.is_live.load(Ordering::Relaxed) {
            return;
        }
        let (shelf, options) = (self.shelf.clone(), Arc::clone(&self.options));
        let confirmed = spawn_blocking(move || shelf.confirm(&options.name)).await;
        if let Ok(Err(error)) = confirmed {
            tracing::debug!(%error, "what is saved cannot be confirmed");
        }
    }
}
