//! The set of running checkers: one task a backend, restarted only when its target changes.

use super::{
    Jitter, Key, RiseFall, Target,
    http::{self, Question},
    tcp,
};
use crate::{model::Probe, runtime::wall_ms};
use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time,
};

/// Probes under way at once. Beyond it a probe waits for another to end, so that checks of very
/// many backends become slower rather than exhausting sockets.
const PROBES_MAX: usize = 512;

/// What is known about one checked backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRecord {
    /// Verdict.
    pub is_up: bool,
    /// When the verdict last changed (or checking began), milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When the last probe ended, milliseconds since the Unix epoch; `None` = not probed yet.
    pub probed_ms: Option<u64>,
    /// Result of the last probe: `None` = passed, or not probed yet.
    pub last_error: Option<String>,
}

/// Shared view of all records.
#[derive(Clone, Debug, Default)]
pub struct HealthBoard {
    records: Arc<Mutex<BTreeMap<Key, HealthRecord>>>,
}

impl HealthBoard {
    /// A copy of all records.
    pub fn records(&self) -> BTreeMap<Key, HealthRecord> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, HealthRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A verdict that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Who.
    pub key: Key,
    /// The new verdict.
    pub is_up: bool,
    /// Why, in the operator's words.
    pub reason: String,
}

/// All checkers. Dropping it stops them. Must live inside a tokio runtime.
pub struct Checkers {
    seed: u64,
    board: HealthBoard,
    permits: Arc<Semaphore>,
    transitions: mpsc::UnboundedSender<Transition>,
    running: BTreeMap<Key, Running>,
}

struct Running {
    target: Target,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checkers {
    /// No checkers yet. `seed` fixes the jitter; transitions go to `transitions`.
    pub fn new(seed: u64, transitions: mpsc::UnboundedSender<Transition>) -> Self {
        Self {
            seed,
            board: HealthBoard::default(),
            permits: Arc::new(Semaphore::new(PROBES_MAX)),
            transitions,
            running: BTreeMap::new(),
        }
    }

    /// The records, kept current by the checkers.
    pub fn board(&self) -> HealthBoard {
        self.board.clone()
    }

    /// Makes the set of checkers equal to `targets`. A checker whose target stays as it was goes
    /// on undisturbed; a changed one starts again from its verdict; a new one starts down if
    /// `down` names it and up otherwise, and probes at once.
    pub fn reconcile(&mut self, targets: &BTreeMap<Key, Target>, down: &BTreeSet<Key>) {
        self.running.retain(|key, running| targets.get(key) == Some(&running.target));
        self.board.lock().retain(|key, _| targets.contains_key(key));
        for (key, target) in targets {
            if !self.running.contains_key(key) {
                let running = self.start(key, target, !down.contains(key));
                self.running.insert(key.clone(), running);
            }
        }
    }

    fn start(&self, key: &Key, target: &Target, starts_up: bool) -> Running {
        let is_up = {
            let mut records = self.board.lock();
            let fresh = HealthRecord {
                is_up: starts_up,
                since_ms: wall_ms(),
                probed_ms: None,
                last_error: None,
            };
            records.entry(key.clone()).or_insert(fresh).is_up
        };
        let mut hasher = DefaultHasher::new();
        (self.seed, key).hash(&mut hasher);
        let checker = Checker {
            key: key.clone(),
            target: target.clone(),
            machine: RiseFall::new(target.check.rise, target.check.fall, is_up),
            jitter: Jitter::new(hasher.finish()),
            board: self.board.clone(),
            permits: Arc::clone(&self.permits),
            transitions: self.transitions.clone(),
        };
        Running { target: target.clone(), task: tokio::spawn(checker.run()) }
    }
}

struct Checker {
    key: Key,
    target: Target,
    machine: RiseFall,
    jitter: Jitter,
    board: HealthBoard,
    permits: Arc<Semaphore>,
    transitions: mpsc::UnboundedSender<Transition>,
}

impl Checker {
    async fn run(mut self) {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = self.permits.acquire().await else { return };
            let result = probe(&self.target).await;
            drop(permit);
            if self.record(result).is_err() {
                return;
            }
            time::sleep(self.jitter.around(self.target.check.interval)).await;
        }
    }

    /// Notes a result and reports a changed verdict; an error means that nobody listens any more.
    fn record(&mut self, result: Result<(), String>) -> Result<(), ()> {
        let changed = self.machine.feed(result.is_ok());
        let error = result.err();
        let now_ms = wall_ms();
        {
            let mut records = self.board.lock();
            let Some(record) = records.get_mut(&self.key) else { return Ok(()) };
            record.probed_ms = Some(now_ms);
            record.last_error.clone_from(&error);
            if let Some(is_up) = changed {
                record.is_up = is_up;
                record.since_ms = now_ms;
            }
        }
        let Some(is_up) = changed else { return Ok(()) };
        let check = &self.target.check;
        let reason = error.map_or_else(
            || format!("{} probes passed in a row", check.rise),
            |error| format!("{} probes failed in a row, the last: {error}", check.fall),
        );
        let transition = Transition { key: self.key.clone(), is_up, reason };
        self.transitions.send(transition).map_err(drop)
    }
}

/// Probes every address of the target; the first failure decides.
async fn probe(target: &Target) -> Result<(), String> {
    let all = async {
        for address in &target.addresses {
            probe_address(*address, &target.check.probe)
                .await
                .map_err(|error| format!("{address}: {error}"))?;
        }
        Ok(())
    };
    let limit = target.check.timeout;
    time::timeout(limit, all).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

async fn probe_address(address: SocketAddr, probe: &Probe) -> Result<(), String> {
    match probe {
        Probe::Tcp { .. } => tcp::probe(address).await,
        Probe::Http { path, host, expect, .. } => {
            let question = Question { path, host: host.as_deref(), expect: *expect };
            http::probe(address, &question).await
        }
    }
}

#[cfg(test)]
mod tests;
