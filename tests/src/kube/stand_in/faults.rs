//! What a test does to the stand-in, and what it learns from it: [`Faults`] and [`Write`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::failure::Failure;
use super::store::Store;

/// Most writes that are remembered; the oldest are forgotten.
const WRITES_MAX: usize = 1 << 20;

/// One write that a client other than the test's own hand asked for, refused or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// The kind, such as `HTTPRoute`.
    pub kind: String,
    /// `NAMESPACE/NAME`, or `NAME` of what is in no namespace; of a creation only the namespace.
    pub object: String,
    /// Whether it was the status alone.
    pub is_status: bool,
    /// The HTTP status of the answer.
    pub code: u16,
}

/// Makes a stand-in misbehave, in ways a real server does only now and then.
#[derive(Clone, Debug)]
pub struct Faults {
    pub(super) shared: Arc<Shared>,
}

impl Faults {
    /// Ends every watch, as a server does after some minutes; they may go on where they were.
    pub fn end_watches(&self) {
        self.shared.signals.send_modify(|signals| signals.ended += 1);
    }

    /// Breaks every watch in the middle of its answer, as a lost connection does.
    pub fn break_watches(&self) {
        self.shared.signals.send_modify(|signals| signals.broken += 1);
    }

    /// Forgets the past: a watch that resumes from before now is told 410, and so is a list that
    /// goes on from an earlier page.
    pub fn forget_history(&self) {
        self.shared.store().forget_history();
    }

    /// Forgets the past and tells every watch 410, wherever it is.
    pub fn expire_watches(&self) {
        self.forget_history();
        self.shared.signals.send_modify(|signals| signals.expired += 1);
    }

    /// Keeps the events of a kind (such as `HTTPRoute`) from all watches until
    /// [`Self::release_events`].
    pub fn hold_events(&self, kind: &str) {
        self.shared.signals.send_modify(|signals| {
            signals.held.insert(kind.to_owned());
        });
    }

    /// Delivers all events that were held.
    pub fn release_events(&self) {
        self.shared.signals.send_modify(|signals| signals.held.clear());
    }

    /// Whether watches tell every event twice from now on.
    pub fn repeat_events(&self, repeats: bool) {
        self.shared.signals.send_modify(|signals| signals.repeats = repeats);
    }

    /// Sends a bookmark to every watch that has asked for them.
    pub fn send_bookmarks(&self) {
        self.shared.signals.send_modify(|signals| signals.bookmarked += 1);
    }

    /// Answers the next `count` writes by an HTTP status (such as 409, 429 or 500) and does
    /// nothing.
    pub fn fail_writes(&self, count: usize, code: u16) {
        self.shared.plan().failing_writes = vec![code; count];
    }

    /// Answers the next `count` lists and starts of a watch by an HTTP status.
    pub fn fail_reads(&self, count: usize, code: u16) {
        self.shared.plan().failing_reads = vec![code; count];
    }

    /// Makes the server do the next `count` writes and break the connection instead of answering.
    pub fn lose_answers(&self, count: usize) {
        self.shared.plan().lost_answers_count = count;
    }

    /// How long every answer is delayed from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.plan().delay = delay;
    }

    /// The writes that clients other than the test's own hand have asked for so far.
    pub fn writes(&self) -> Vec<Write> {
        self.shared.plan().writes.clone()
    }

    /// Forgets the writes so far.
    pub fn forget_writes(&self) {
        self.shared.plan().writes.clear();
    }

    /// What was refused to clients because no role of theirs allows it, as they were told; each
    /// once.
    pub fn forbidden(&self) -> BTreeSet<String> {
        self.shared.plan().forbidden.clone()
    }

    /// How many watches are open.
    pub fn watches_count(&self) -> usize {
        self.shared.plan().watches_count
    }
}

/// What the connections of a stand-in have in common.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    plan: Mutex<Plan>,
    pub(super) signals: watch::Sender<Signals>,
}

/// What wakes a watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    pub(super) revision: u64,
    pub(super) ended: u64,
    pub(super) broken: u64,
    pub(super) expired: u64,
    pub(super) bookmarked: u64,
    pub(super) held: BTreeSet<String>,
    pub(super) repeats: bool,
}

/// What is to go wrong, and what has been counted.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) failing_writes: Vec<u16>,
    pub(super) failing_reads: Vec<u16>,
    pub(super) lost_answers_count: usize,
    pub(super) delay: Duration,
    pub(super) watches_count: usize,
    pub(super) forbidden: BTreeSet<String>,
    writes: Vec<Write>,
}

impl Shared {
    pub(super) fn new(store: Store) -> Self {
        let signals = Signals { revision: store.revision(), ..Signals::default() };
        Self {
            store: Mutex::new(store),
            plan: Mutex::default(),
            signals: watch::Sender::new(signals),
        }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the store and wakes the watches if it has changed.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut store = self.store();
        let before = store.revision();
        let result = change(&mut store);
        let revision = store.revision();
        drop(store);
        if revision != before {
            self.signals.send_modify(|signals| signals.revision = signals.revision.max(revision));
        }
        result
    }
}

impl Plan {
    pub(super) fn count(&mut self, write: Write) {
        if self.writes.len() >= WRITES_MAX {
            self.writes.remove(0);
        }
        self.writes.push(write);
    }
}
