//! A watch: events of one kind from a revision on, as lines of JSON.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::faults::{Shared, Signals};
use super::kinds::Kind;
use super::selector::Selector;
use super::store::Change;
use super::target::Query;

/// How often a watch that has asked for bookmarks gets one: about as often as a real server's.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// How an object is written: as it is, or only its metadata.
pub(super) type Render = fn(&Kind, &Value) -> Value;

/// What a watch is about.
pub(super) struct Watched {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
    pub(super) render: Render,
}

/// The events as chunks of an HTTP body; an error breaks the connection.
pub(super) fn events(
    shared: Arc<Shared>,
    watched: Watched,
    query: &Query,
) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, Failure> {
    let signals = shared.signals.subscribe();
    let seen = signals.borrow().clone();
    let mut watch = Watch {
        seen,
        signals,
        watched,
        revision: 0,
        lines: VecDeque::new(),
        wants_bookmarks: query.wants_bookmarks,
        bookmark_at: Instant::now() + BOOKMARK_INTERVAL,
        ends_at: query.timeout.map(|timeout| Instant::now() + timeout),
        is_over: false,
        open: Open::new(shared),
    };
    watch.begin(query)?;
    Ok(stream::unfold(watch, |mut watch| async {
        let chunk = watch.next().await?;
        Some((chunk, watch))
    }))
}

struct Watch {
    open: Open,
    watched: Watched,
    signals: watch::Receiver<Signals>,
    /// What has been reacted to.
    seen: Signals,
    /// Everything until here has been told.
    revision: u64,
    lines: VecDeque<Bytes>,
    wants_bookmarks: bool,
    bookmark_at: Instant,
    ends_at: Option<Instant>,
    is_over: bool,
}

impl Watch {
    fn begin(&mut self, query: &Query) -> Result<(), Failure> {
        let shared = Arc::clone(&self.open.0);
        let store = shared.store();
        let is_from_now = query.revision.is_empty() || query.revision == "0";
        if is_from_now || query.sends_initial {
            let watched = &self.watched;
            let objects = store.objects(&watched.kind, watched.namespace.as_deref());
            let selected: Vec<Arc<Value>> = objects
                .filter(|(_, object)| watched.selector.selects(object))
                .map(|(_, object)| Arc::clone(object))
                .collect();
            for object in selected {
                self.tell("ADDED", &object);
            }
            self.revision = store.revision();
            if query.sends_initial {
                self.bookmark(&json!({ "k8s.io/initial-events-end": "true" }));
            }
            return Ok(());
        }
        let revision = query.revision.parse();
        self.revision = revision.map_err(|_| Failure::bad_request("Invalid resource version"))?;
        if let Err(failure) = store.changes_after(self.revision).map(drop) {
            // A real server says this in the stream, too, not in the status of the answer.
            self.fail(&failure);
        }
        Ok(())
    }

    /// The next chunk, once there is one; nothing at the end.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.is_over {
                return None;
            }
            let now = self.signals.borrow_and_update().clone();
            if now.broken != self.seen.broken {
                self.is_over = true;
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            self.react(&now);
            self.seen = now;
            if self.lines.is_empty() && !self.is_over {
                self.wait().await;
            }
        }
    }

    fn react(&mut self, now: &Signals) {
        if now.ended != self.seen.ended {
            self.is_over = true;
            return;
        }
        if now.expired != self.seen.expired {
            self.fail(&Failure::expired(self.revision, now.revision));
            return;
        }
        if now.held.contains(&self.watched.kind.kind) {
            return;
        }
        self.catch_up(now.repeats);
        if now.bookmarked != self.seen.bookmarked {
            self.bookmark(&Value::Null);
        }
    }

    async fn wait(&mut self) {
        let end = self.ends_at;
        let is_end = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = self.signals.changed() => self.is_over |= changed.is_err(),
            () = is_end => self.is_over = true,
            () = sleep_until(self.bookmark_at) => self.bookmark(&Value::Null),
        }
    }

    fn catch_up(&mut self, repeats: bool) {
        let shared = Arc::clone(&self.open.0);
        let store = shared.store();
        let changes: Vec<Arc<Change>> = match store.changes_after(self.revision) {
            Ok(changes) => {
                let collection = self.watched.kind.collection();
                changes.filter(|change| change.collection == collection).cloned().collect()
            }
            Err(failure) => return self.fail(&failure),
        };
        self.revision = store.revision();
        drop(store);
        for change in changes {
            for _ in 0..=usize::from(repeats) {
                self.tell_change(&change);
            }
        }
    }

    /// What a change is to this watch: an object may begin or cease to be selected.
    fn tell_change(&mut self, change: &Change) {
        let selects = |object: &Option<Arc<Value>>| {
            object.as_ref().is_some_and(|object| {
                let namespace = self.watched.namespace.as_deref();
                namespace.is_none_or(|name| object["metadata"]["namespace"] == name)
                    && self.watched.selector.selects(object)
            })
        };
        let (was, is) = (selects(&change.before), selects(&change.after));
        match (was, is, &change.after, &change.last) {
            (false, true, Some(after), _) => self.tell("ADDED", after),
            (true, true, Some(after), _) => self.tell("MODIFIED", after),
            // The object as it is now, and no longer selected.
            (true, false, Some(after), _) => self.tell("DELETED", after),
            (true, false, None, Some(last)) => self.tell("DELETED", last),
            _ => {}
        }
    }

    fn tell(&mut self, event: &str, object: &Value) {
        let object = (self.watched.render)(&self.watched.kind, object);
        self.line(&json!({ "type": event, "object": object }));
    }

    fn bookmark(&mut self, annotations: &Value) {
        self.bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
        if !self.wants_bookmarks {
            return;
        }
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let mut object = json!({ "metadata": metadata });
        object = (self.watched.render)(&self.watched.kind, &object);
        self.line(&json!({ "type": "BOOKMARK", "object": object }));
    }

    fn fail(&mut self, failure: &Failure) {
        self.line(&json!({ "type": "ERROR", "object": failure.document() }));
        self.is_over = true;
    }

    fn line(&mut self, event: &Value) {
        self.lines.push_back(Bytes::from(format!("{event}\n")));
    }
}

/// Counts an open watch until it is dropped.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.plan().watches_count += 1;
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut plan = self.0.plan();
        plan.watches_count = plan.watches_count.saturating_sub(1);
    }
}
