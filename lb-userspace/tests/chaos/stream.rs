//! A watch as its server tells it, with what goes wrong on the way.

use super::{
    faults::happens,
    server::{Server, State, line},
};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use std::{collections::VecDeque, io, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a bookmark is told.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(20);

/// A watch.
pub(crate) struct Told {
    server: Arc<Server>,
    kind: usize,
    /// Only the object of this name.
    name: Option<String>,
    /// What was told so far.
    at: u64,
    round: u64,
    ends_at: Instant,
    bookmark_at: Instant,
    /// What is told next.
    next: VecDeque<Bytes>,
    end: Option<End>,
    rng: fastrand::Rng,
}

/// How a watch ends.
#[derive(Clone, Copy)]
enum End {
    Clean,
    Broken,
    /// Nobody is told.
    Never,
}

/// Something to do about a watch.
enum Step {
    Tell,
    /// Later by so many milliseconds.
    Late(u64),
    Wait,
}

impl Told {
    pub(crate) fn new(
        server: &Arc<Server>,
        kind: usize,
        name: Option<String>,
        from: Option<u64>,
        lasts: Duration,
        rng: fastrand::Rng,
    ) -> Self {
        let state = server.lock();
        let mut next = VecDeque::new();
        if from.is_none() {
            let named =
                |it: &&Value| name.as_ref().is_none_or(|name| it["metadata"]["name"] == **name);
            let objects = state.objects.iter().filter(|(id, _)| id.kind() == kind);
            let objects = objects.map(|(_, it)| &it.value).filter(named);
            next.extend(objects.map(|it| bytes(&line("ADDED", it))));
            next.push_back(bookmark(state.revision, true));
        }
        Self {
            server: Arc::clone(server),
            kind,
            name,
            at: from.unwrap_or(state.revision),
            round: state.round,
            ends_at: Instant::now() + lasts,
            bookmark_at: Instant::now() + BOOKMARK_PERIOD,
            next,
            end: None,
            rng,
        }
    }

    /// The next bytes.
    pub(crate) async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        loop {
            if let Some(bytes) = self.next.pop_front() {
                return Some((Ok(Frame::data(bytes)), self));
            }
            match self.end {
                Some(End::Clean) => return None,
                Some(End::Never) => return std::future::pending().await,
                Some(End::Broken) => {
                    self.end = Some(End::Clean);
                    let kind = io::ErrorKind::UnexpectedEof;
                    return Some((Err(io::Error::from(kind)), self));
                }
                None => {}
            }
            let server = Arc::clone(&self.server);
            // Before it is looked at: nothing that comes afterwards is missed.
            let changed = server.changed.notified();
            let step = self.step(&server.lock());
            match step {
                Step::Tell => {}
                Step::Late(late_ms) => {
                    sleep(Duration::from_millis(late_ms)).await;
                    self.tell(&server.lock());
                }
                Step::Wait => {
                    let until = self.ends_at.min(self.bookmark_at);
                    // The server outlives its watches; the time is looked at above.
                    timeout_at(until, changed).await.ok();
                }
            }
        }
    }

    fn step(&mut self, state: &State) -> Step {
        let now = Instant::now();
        if self.round != state.round {
            let ends = [End::Clean, End::Broken, End::Broken];
            self.end = Some(ends[self.rng.usize(..ends.len())]);
            return Step::Tell;
        }
        if now >= self.ends_at {
            self.end = Some(End::Clean);
            return Step::Tell;
        }
        if self.at < state.oldest && self.has_more(state) {
            self.expire();
            return Step::Tell;
        }
        if self.has_more(state) {
            if state.faults.late_ms > 0 {
                let most = state.faults.late_ms;
                return Step::Late(self.rng.u64(..=most));
            }
            self.tell(state);
            return Step::Tell;
        }
        if now >= self.bookmark_at {
            self.bookmark_at = now + BOOKMARK_PERIOD;
            let share = state.faults.lost_bookmarks;
            if !happens(share, &mut self.rng) {
                self.at = state.revision;
                self.next.push_back(bookmark(state.revision, false));
            }
            return Step::Tell;
        }
        Step::Wait
    }

    fn has_more(&self, state: &State) -> bool {
        self.following(state).is_some()
    }

    fn following(&self, state: &State) -> Option<usize> {
        let start = state.changes.partition_point(|it| it.revision <= self.at);
        let is_meant = |it: &super::server::Change| {
            it.id.kind() == self.kind && self.name.as_ref().is_none_or(|name| *name == it.id.name())
        };
        let found = state.changes[start..].iter().position(is_meant)?;
        Some(start + found)
    }

    /// Tells the next change, or fails to.
    fn tell(&mut self, state: &State) {
        let Some(found) = self.following(state) else { return };
        let (revision, line) = (state.changes[found].revision, bytes(&state.changes[found].line));
        let faults = &state.faults;
        if happens(faults.ending, &mut self.rng) {
            match self.rng.u8(0..4) {
                0 => self.expire(),
                1 => self.end = Some(End::Broken),
                2 => self.end = Some(End::Clean),
                _ => {
                    // In the middle of the event.
                    self.next.push_back(line.slice(..self.rng.usize(1..line.len())));
                    self.end = Some(if self.rng.bool() { End::Broken } else { End::Clean });
                }
            }
            return;
        }
        self.at = revision;
        if happens(faults.doubling, &mut self.rng) {
            self.next.push_back(line.clone());
        }
        self.next.push_back(line);
        if happens(faults.silent, &mut self.rng) {
            self.end = Some(End::Never);
        }
    }

    fn expire(&mut self) {
        self.next.push_back(bytes(&line("ERROR", &expired())));
        self.end = Some(End::Clean);
    }
}

/// What a server says about what it has forgotten.
pub(crate) fn expired() -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    })
}

fn bookmark(revision: u64, is_end: bool) -> Bytes {
    let mut object = json!({ "metadata": { "resourceVersion": revision.to_string() } });
    if is_end {
        object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
    }
    bytes(&line("BOOKMARK", &object))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
