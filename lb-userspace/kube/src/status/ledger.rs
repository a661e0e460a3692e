//! What was written to each object, so that nothing is written twice.

use super::send::Written;
use crate::ObjectId;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::time::Instant;

/// Between two writes to one object.
const INTERVAL: Duration = Duration::from_millis(100);

/// After a failure, doubled with each.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_mins(1);

/// Before the same is written again, which somebody else overwrote; doubled with each time: two
/// writers that do not agree must not keep an API server busy.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_mins(5);

/// What was written to each object.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<ObjectId, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Of what was to be said.
    desired: u64,
    /// Version of the object as it was watched then.
    base: String,
    /// Version that came of it.
    version: String,
    /// Of what the object said then: an API server may leave out fields it does not know.
    said: u64,
    at: Instant,
    again: u32,
    failures: u32,
}

impl Ledger {
    /// Whether just this was written, to an object that says since what it said then.
    pub(super) fn is_written(
        &self,
        id: &ObjectId,
        desired: u64,
        version: &str,
        said: impl FnOnce() -> u64,
    ) -> bool {
        self.entries.get(id).is_some_and(|it| {
            let is_seen = version == it.base || version == it.version;
            it.desired == desired && it.failures == 0 && (is_seen || said() == it.said)
        })
    }

    /// Whether an object as it is watched is older than what was written to it.
    pub(super) fn is_outdated(&self, id: &ObjectId, version: &str) -> bool {
        let entry = self.entries.get(id);
        entry.is_some_and(|it| version == it.base && it.base != it.version)
    }

    /// Version of the object as it was watched when it was written.
    pub(super) fn base(&self, id: &ObjectId) -> String {
        self.entries.get(id).map(|it| it.base.clone()).unwrap_or_default()
    }

    /// When to write this.
    pub(super) fn due(&self, id: &ObjectId, desired: u64, now: Instant) -> Instant {
        let Some(entry) = self.entries.get(id) else { return now };
        let wait = if entry.failures > 0 {
            let wait = doubled(RETRY, entry.failures - 1, RETRY_MAX);
            // Not all replicas and objects at one time.
            wait.mul_f64(0.5 + fastrand::f64() / 2.0)
        } else if entry.desired == desired {
            doubled(AGAIN, entry.again, AGAIN_MAX)
        } else {
            INTERVAL
        };
        (entry.at + wait).max(now)
    }

    /// Notes that this was written.
    pub(super) fn write(
        &mut self,
        id: &ObjectId,
        desired: u64,
        base: String,
        written: &Written,
        now: Instant,
    ) {
        let before = self.entries.get(id).filter(|it| it.desired == desired && written.is_new);
        let again = before.map_or(0, |it| it.again.saturating_add(1));
        let entry = Entry {
            desired,
            base,
            version: written.version.clone(),
            said: written.said,
            at: now,
            again,
            failures: 0,
        };
        self.entries.insert(id.clone(), entry);
    }

    /// Notes that a write failed.
    pub(super) fn fail(&mut self, id: &ObjectId, now: Instant) {
        let entry = self.entries.entry(id.clone()).or_insert_with(|| Entry {
            desired: 0,
            base: String::new(),
            version: String::new(),
            said: 0,
            at: now,
            again: 0,
            failures: 0,
        });
        entry.failures = entry.failures.saturating_add(1);
        entry.at = now;
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, id: &ObjectId) {
        self.entries.remove(id);
    }

    /// Forgets objects that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&ObjectId) -> bool) {
        self.entries.retain(|it, _| is_there(it));
    }
}

/// A number that differs where `value` differs (but for odds of 1 in 2^64).
pub(super) fn fingerprint(value: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(value).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectKey, ObjectKind};

    #[tokio::test(start_paused = true)]
    async fn who_is_overwritten_waits_longer_each_time() {
        let key = ObjectKey::new("a", "b");
        let id = ObjectId { cluster: "one".into(), kind: ObjectKind::Service, key };
        let now = Instant::now();
        let mut ledger = Ledger::default();
        assert_eq!(ledger.due(&id, 7, now), now);
        let written = |version: &str| Written { version: version.into(), said: 1, is_new: true };
        ledger.write(&id, 7, "1".into(), &written("2"), now);
        assert!(ledger.is_written(&id, 7, "1", || 9), "not seen yet");
        assert!(ledger.is_written(&id, 7, "2", || 9));
        assert!(ledger.is_written(&id, 7, "3", || 1), "somebody changed something else");
        assert!(!ledger.is_written(&id, 7, "3", || 9));
        assert!(!ledger.is_written(&id, 8, "2", || 1));
        assert!(ledger.is_outdated(&id, "1"));
        assert_eq!(ledger.due(&id, 8, now) - now, INTERVAL);
        assert_eq!(ledger.due(&id, 7, now) - now, AGAIN);
        ledger.write(&id, 7, "3".into(), &written("4"), now);
        assert_eq!(ledger.due(&id, 7, now) - now, AGAIN * 2);
        ledger.write(&id, 8, "4".into(), &written("5"), now);
        assert_eq!(ledger.due(&id, 8, now) - now, AGAIN);
        for _ in 0..40 {
            ledger.fail(&id, now);
        }
        assert!(ledger.due(&id, 8, now) - now <= RETRY_MAX);
        assert!(!ledger.is_written(&id, 8, "5", || 1), "the last write failed");
    }
}
