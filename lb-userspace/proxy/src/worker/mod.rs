//! What runs on each worker: from an accepted connection to an answered request.

mod answer;
mod ask;
mod connection;
mod datagram;
mod overload;

pub use ask::Upstreams;

use crate::{
    accept::ConnectionLimit,
    account::{AccessLogger, BATCH_AGE, LogWriter},
    drain::{Drain, DrainStart, drain},
    send::Sender,
    snapshot::Snapshot,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use overload::Overload;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// What all workers share.
#[derive(Default)]
pub struct Common {
    /// What is served now.
    pub snapshot: ArcSwap<Snapshot>,
    /// Connections over all listeners.
    pub limit: Arc<ConnectionLimit>,
    /// Where the access log goes, if there is one.
    pub log: ArcSwapOption<LogWriter>,
    /// The longest that what is ready may wait for a worker, nanoseconds; 0 = for ever.
    queue_delay_max_ns: AtomicU64,
}

/// A worker: serves connections with what is served now.
pub struct Worker {
    index: usize,
    common: Arc<Common>,
    sender: Rc<Sender>,
    logger: RefCell<Option<AccessLogger>>,
    /// Whether a task is about to pass on the lines of the access log.
    is_flush_due: Cell<bool>,
    drain: Drain,
    drain_start: DrainStart,
    /// Connections that a stop waits for.
    open: Cell<u32>,
    closed: Notify,
    overload: Rc<Overload>,
}

/// A connection that a stop waits for; it is over when this is dropped.
struct Open(Rc<Worker>);

impl Common {
    /// Requests are refused if what is ready waits longer for a worker; `None` = never.
    pub fn set_queue_delay_max(&self, max: Option<Duration>) {
        let max_ns = max.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        self.queue_delay_max_ns.store(max_ns, Relaxed);
    }

    fn queue_delay_max(&self) -> Option<Duration> {
        let max_ns = self.queue_delay_max_ns.load(Relaxed);
        (max_ns > 0).then(|| Duration::from_nanos(max_ns))
    }
}

impl Worker {
    /// The worker of this number. Must be made where it runs: it starts tasks of its own.
    pub fn new(index: usize, common: Arc<Common>) -> Self {
        let sender = Sender::new();
        let tended = Rc::clone(&sender);
        tokio::task::spawn_local(async move { tended.tend().await });
        let (drain_start, drain) = drain();
        let overload = Rc::<Overload>::default();
        let (watched, settings) = (Rc::clone(&overload), Arc::clone(&common));
        tokio::task::spawn_local(async move {
            watched.watch(|| settings.queue_delay_max()).await;
        });
        Self {
            index,
            common,
            sender,
            logger: RefCell::default(),
            is_flush_due: Cell::default(),
            drain,
            drain_start,
            open: Cell::new(0),
            closed: Notify::new(),
            overload,
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.common.snapshot.load_full()
    }

    /// Calls `log` with the worker's own end of the access log, if there is a log.
    fn with_logger(&self, log: impl FnOnce(&AccessLogger)) {
        let writer = self.common.log.load();
        let mut logger = self.logger.borrow_mut();
        if logger.as_ref().is_none_or(|it| !it.writes_to(writer.as_ref())) {
            // What the old one still holds goes out when it is dropped.
            *logger = writer.as_ref().map(|it| AccessLogger::new(Arc::clone(it)));
        }
        if let Some(logger) = &*logger {
            log(logger);
        }
    }

    /// Passes on the lines that wait, soon: the next request may be long in coming.
    fn flush_log_soon(self: &Rc<Self>) {
        let holds_lines = self.logger.borrow().as_ref().is_some_and(AccessLogger::holds_lines);
        if !holds_lines || self.is_flush_due.replace(true) {
            return;
        }
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(BATCH_AGE).await;
            worker.is_flush_due.set(false);
            worker.with_logger(AccessLogger::flush);
        });
    }

    fn open(self: &Rc<Self>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.closed.notify_waiters();
    }
}
