//! An API server: objects, the history of their changes, and what goes wrong.

use super::{
    faults::Faults,
    site::{Id, KINDS, NAMESPACE, VERSIONS_MAX},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;

/// One of the API servers.
pub(crate) struct Server {
    /// Number of its cluster.
    pub(crate) cluster: u8,
    state: Mutex<State>,
    /// Wakes watches.
    pub(crate) changed: Notify,
}

/// What it knows.
pub(crate) struct State {
    pub(crate) revision: u64,
    /// Changes up to here are forgotten.
    pub(crate) oldest: u64,
    pub(crate) objects: BTreeMap<Id, Stored>,
    pub(crate) changes: Vec<Change>,
    /// Rests of lists, by the number of their token.
    pub(crate) rests: BTreeMap<u64, (u64, Vec<Value>)>,
    pub(crate) faults: Faults,
    /// Watches of earlier rounds end.
    pub(crate) round: u64,
    /// It streams lists, and says so by its version.
    pub(crate) streams: bool,
    /// The Lease, if there is one.
    pub(crate) lease: Option<Value>,
    /// Statuses written, all in all.
    pub(crate) status_writes: u64,
    /// Of the objects.
    rng: fastrand::Rng,
    seed: u64,
    /// Of the luck of requests, by path: it does not depend on which request comes first.
    lucks: BTreeMap<String, fastrand::Rng>,
    tokens_count: u64,
    versions: BTreeMap<Id, u16>,
}

/// An object that is there.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) version: u16,
}

/// One change.
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) id: Id,
    /// Version of the object; `None` = it was deleted.
    pub(crate) version: Option<u16>,
    /// Only its status was written.
    pub(crate) is_status: bool,
    pub(crate) line: Arc<str>,
}

impl Server {
    pub(crate) fn new(cluster: u8, seed: u64) -> Arc<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let state = State {
            revision: 1,
            oldest: 0,
            objects: BTreeMap::new(),
            changes: Vec::new(),
            rests: BTreeMap::new(),
            faults: Faults::default(),
            round: 0,
            streams: rng.bool(),
            lease: None,
            status_writes: 0,
            rng,
            seed,
            lucks: BTreeMap::new(),
            tokens_count: 0,
            versions: BTreeMap::new(),
        };
        Arc::new(Self { cluster, state: Mutex::new(state), changed: Notify::new() })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Tells watches to look.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Creates the object, or writes its next version.
    pub(crate) fn put(&self, id: Id) {
        let mut state = self.lock();
        let version = state.versions.get(&id).map_or(1, |it| it + 1);
        if version > VERSIONS_MAX {
            return;
        }
        state.versions.insert(id, version);
        let mut value = id.object(self.cluster, version, &mut state.rng);
        let row = &KINDS[id.kind()];
        let before = state.objects.get(&id).map(|it| it.value.clone());
        let created =
            before.as_ref().map_or_else(|| version.into(), |it| it["metadata"]["born"].clone());
        value["apiVersion"] = json!(api_version(row.group));
        value["kind"] = json!(row.name);
        let metadata = &mut value["metadata"];
        metadata["name"] = json!(id.name());
        metadata["generation"] = json!(version);
        metadata["uid"] = json!(format!("{}-{}-{created}", self.cluster, id.name()));
        metadata["born"] = created;
        metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        if row.is_namespaced {
            metadata["namespace"] = json!(NAMESPACE);
        }
        if let Some(status) = before.as_ref().and_then(|it| it.get("status")) {
            value["status"] = status.clone();
        }
        state.store(id, value, version, false);
        drop(state);
        self.wake();
    }

    /// Deletes the object, if it is there.
    pub(crate) fn delete(&self, id: Id) {
        let mut state = self.lock();
        let Some(Stored { mut value, .. }) = state.objects.remove(&id) else { return };
        state.revision += 1;
        let revision = state.revision;
        value["metadata"]["resourceVersion"] = json!(revision.to_string());
        let line = line("DELETED", &value);
        state.changes.push(Change { revision, id, version: None, is_status: false, line });
        drop(state);
        self.wake();
    }

    /// Ends all watches.
    pub(crate) fn end_watches(&self) {
        self.lock().round += 1;
        self.wake();
    }

    /// Forgets all changes so far: who has not seen the last of them has to list.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.oldest = state.revision;
        state.rests.clear();
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        let mut state = self.lock();
        if faults.is_down {
            state.round += 1;
        }
        state.faults = faults;
        drop(state);
        self.wake();
    }
}

impl State {
    /// The luck of requests to a path.
    pub(crate) fn luck(&mut self, path: &str) -> &mut fastrand::Rng {
        if !self.lucks.contains_key(path) {
            let seed = path.bytes().fold(self.seed, |seed, byte| {
                (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            self.lucks.insert(path.to_owned(), fastrand::Rng::with_seed(seed));
        }
        self.lucks.get_mut(path).expect("it was put there")
    }

    /// Keeps the rest of a list, and gives its token.
    pub(crate) fn keep(&mut self, revision: u64, rest: Vec<Value>) -> u64 {
        self.tokens_count += 1;
        self.rests.insert(self.tokens_count, (revision, rest));
        self.tokens_count
    }

    /// Puts an object in place, at a revision of its own.
    pub(crate) fn store(&mut self, id: Id, mut value: Value, version: u16, is_status: bool) {
        self.revision += 1;
        let revision = self.revision;
        value["metadata"]["resourceVersion"] = json!(revision.to_string());
        let kind = if self.objects.contains_key(&id) { "MODIFIED" } else { "ADDED" };
        let line = line(kind, &value);
        self.changes.push(Change { revision, id, version: Some(version), is_status, line });
        self.objects.insert(id, Stored { value, version });
    }

    /// Whether an object had this version at some time.
    pub(crate) fn had(&self, id: Id, version: u16) -> bool {
        self.changes.iter().any(|it| it.id == id && it.version == Some(version))
    }

    /// Whether anything but the status of an object changed after a revision.
    pub(crate) fn changed_after(&self, id: Id, revision: u64) -> bool {
        let changes = self.changes.iter().rev().take_while(|it| it.revision > revision);
        changes.filter(|it| !it.is_status).any(|it| it.id == id)
    }
}

pub(crate) fn api_version(group: &str) -> String {
    if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }
}

pub(crate) fn line(kind: &str, object: &Value) -> Arc<str> {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}
