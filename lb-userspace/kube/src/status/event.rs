//! Notices as Events: each told once while it stands, and again (as a series) when it comes back.

use super::said;
use crate::{Notice, ObjectId, Objects, PREFIX};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// Events at once (client-go, `EventCorrelator`: burst of its spam filter).
const BURST: u32 = 25;

/// Then one in this time. client-go's filter is slower, but counts by object.
const REFILL: Duration = Duration::from_secs(1);

/// A notice that comes back within this time is not told again.
const QUIET: Duration = Duration::from_mins(1);

/// As long as an API server keeps Events by default: after it, one is a new one.
const FORGET: Duration = Duration::from_hours(1);

/// Notices remembered; more are not told.
const TOLD_MAX: usize = 10_000;

/// Bytes of a note (Kubernetes, `Event.note`: less than 1 kB).
const NOTE_MAX: usize = 1_000;

/// Bytes of the object's name in the Event's: names have at most 253 (RFC 1123 as Kubernetes has
/// it), and a time follows.
const NAME_MAX: usize = 200;

/// Namespace of Events about things of the whole cluster; the API server takes no other.
const DEFAULT_NAMESPACE: &str = "default";

/// What was told.
#[derive(Debug)]
pub(super) struct Told {
    standing: BTreeSet<Notice>,
    past: BTreeMap<Notice, Past>,
    tokens: u32,
    refilled: Instant,
    is_waiting: bool,
}

#[derive(Debug)]
struct Past {
    name: String,
    count: i32,
    at: Instant,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) notice: Notice,
    /// Name of the Event.
    name: String,
    /// How often it was told with this time.
    count: i32,
}

impl Told {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            standing: BTreeSet::new(),
            past: BTreeMap::new(),
            tokens: BURST,
            refilled: now,
            is_waiting: false,
        }
    }

    /// What to tell of the notices that stand now.
    pub(super) fn next<'a>(
        &mut self,
        now: Instant,
        notices: impl Iterator<Item = &'a Notice>,
    ) -> Vec<Telling> {
        self.refill(now);
        self.past.retain(|_, it| now.saturating_duration_since(it.at) < FORGET);
        let mut standing = BTreeSet::new();
        let mut telling = Vec::new();
        self.is_waiting = false;
        for notice in notices {
            let was_just_told = self
                .past
                .get(notice)
                .is_some_and(|it| now.saturating_duration_since(it.at) < QUIET);
            if self.standing.contains(notice) || was_just_told {
                standing.insert(notice.clone());
                continue;
            }
            if self.tokens == 0 || self.past.len() >= TOLD_MAX {
                self.is_waiting = true;
                continue;
            }
            self.tokens -= 1;
            standing.insert(notice.clone());
            let past = self.past.entry(notice.clone()).or_insert_with(|| Past {
                name: name(notice),
                count: 0,
                at: now,
            });
            past.count = past.count.saturating_add(1);
            past.at = now;
            let (name, count) = (past.name.clone(), past.count);
            telling.push(Telling { notice: notice.clone(), name, count });
        }
        self.standing = standing;
        telling
    }

    /// When to look again although nothing changed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_waiting.then(|| self.refilled + REFILL)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        let count = passed.as_millis() / REFILL.as_millis();
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(BURST);
        if count > 0 {
            self.tokens = self.tokens.saturating_add(count).min(BURST);
            self.refilled = now;
        }
    }
}

/// Writes an Event. `instance` names this replica.
pub(super) async fn tell(
    client: Client,
    instance: String,
    regarding: ObjectReference,
    telling: Telling,
) -> Result<(), kube::Error> {
    let namespace = regarding.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let events: Api<Event> = Api::namespaced(client, &namespace);
    let now = MicroTime(Timestamp::now());
    if telling.count > 1 {
        let series = json!({"count": telling.count, "lastObservedTime": now});
        let patch = Patch::Merge(json!({ "series": series }));
        match events.patch(&telling.name, &PatchParams::default(), &patch).await {
            // The API server forgot it: it is told anew.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => return result.map(drop),
        }
    }
    let Notice { is_warning, reason, message, .. } = telling.notice;
    let end = message.floor_char_boundary(NOTE_MAX);
    let event = Event {
        action: Some("Lower".to_owned()),
        event_time: Some(now),
        metadata: ObjectMeta {
            name: Some(telling.name),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        note: message.get(..end).map(str::to_owned),
        reason: Some(reason.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some(format!("{PREFIX}/agent")),
        reporting_instance: Some(instance),
        type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    };
    events.create(&PostParams::default(), &event).await.map(drop)
}

/// Whom an Event is about; `None` = the object is not there (any more).
pub(super) fn regarding(objects: &Objects, id: &ObjectId) -> Option<ObjectReference> {
    let metadata = said::metadata(objects, id)?;
    let resource = said::newest(id.kind);
    Some(ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        name: Some(id.key.name.clone()),
        namespace: (!id.key.namespace.is_empty()).then(|| id.key.namespace.clone()),
        resource_version: metadata.resource_version.clone(),
        uid: metadata.uid.clone(),
        field_path: None,
    })
}

fn name(notice: &Notice) -> String {
    let name = &notice.object.key.name;
    let name = name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default();
    let name = name.trim_end_matches(['.', '-']);
    format!("{name}.{:x}{:x}", Timestamp::now().as_nanosecond(), fastrand::u16(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectKey, ObjectKind};

    fn notice(name: &str) -> Notice {
        let key = ObjectKey::new("a", name);
        let object = ObjectId { cluster: "one".into(), kind: ObjectKind::Service, key };
        Notice { object, is_warning: true, reason: "Odd", message: "odd".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_is_told_once_and_counted_when_it_comes_back() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let notices = [notice("a"), notice("b")];
        let mut told = Told::new(now);
        let first = told.next(now, notices.iter());
        assert_eq!(first.iter().map(|it| it.count).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(told.next(after(100), notices.iter()), []);
        assert_eq!(told.next(after(101), notices.iter().take(1)), []);
        let again = told.next(after(102), notices.iter());
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].count, &again[0].name), (2, &first[1].name));
        assert_eq!(told.next(after(103), notices.iter().take(1)), []);
        assert_eq!(told.next(after(104), notices.iter()), [], "too soon");
    }

    #[tokio::test(start_paused = true)]
    async fn many_notices_are_told_bit_by_bit() {
        let now = Instant::now();
        let notices: Vec<_> = (0..30).map(|it| notice(&it.to_string())).collect();
        let mut told = Told::new(now);
        assert_eq!(told.next(now, notices.iter()).len(), 25);
        assert!(told.due().is_some());
        assert_eq!(told.next(now, notices.iter()).len(), 0);
        assert_eq!(told.next(now + Duration::from_secs(2), notices.iter()).len(), 2);
        assert_eq!(told.next(now + Duration::from_secs(9), notices.iter()).len(), 3);
        assert_eq!(told.due(), None);
    }
}
