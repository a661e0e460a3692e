//! Watches one kind in one scope for as long as the agent wants it.

use super::{
    Reports,
    backoff::Backoff,
    change::{Change, Object, Place, Put, Read, Relist, Remove},
    kind::Kind,
    report::Report,
    request::{self, Asked, Event, Events, Failure},
    source::{Scope, Source},
};
use crate::ObjectKey;
use kube::Client;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// A watch that lasted this long went well.
const STEADY: Duration = Duration::from_secs(5);

/// How long a streaming list may take: an old server never says that it is complete.
const STREAM_TIMEOUT: Duration = Duration::from_mins(1);

/// What is watched, and for whom.
pub(crate) struct Watch {
    pub(super) kind: &'static Kind,
    pub(super) version: String,
    pub(super) scope: Scope,
    /// The way to the API server. A new one is used at once.
    pub(super) clients: watch::Receiver<Client>,
    pub(super) reports: Reports,
    /// The server offers streaming lists.
    pub(super) streams: bool,
}

/// Watches objects of a type.
pub(super) struct Reflector<T> {
    place: Place<T>,
    kind: &'static Kind,
    source: Source,
    asked: Asked,
    clients: watch::Receiver<Client>,
    reports: Reports,
    streams: bool,
    /// Where the watch goes on; `None` = a list is due.
    version: Option<String>,
    is_failing: bool,
    rng: fastrand::Rng,
}

/// Nobody listens any more.
struct Ended;

impl<T: Object> Reflector<T> {
    pub(super) fn new(watch: Watch, place: Place<T>) -> Self {
        let Watch { kind, version, scope, clients, reports, streams } = watch;
        let name = match &scope {
            Scope::One(key) => Some(key.name.clone()),
            _ => None,
        };
        let asked = Asked { path: kind.path(&version, &scope), name };
        let source = Source { kind: kind.name, scope };
        Self {
            place,
            kind,
            source,
            asked,
            clients,
            reports,
            streams,
            version: None,
            is_failing: false,
            rng: fastrand::Rng::new(),
        }
    }

    /// Watches until nobody listens any more.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut clients = self.clients.clone();
        loop {
            let client = clients.borrow_and_update().clone();
            let began = Instant::now();
            let outcome = tokio::select! {
                biased;
                outcome = self.follow(&client) => outcome,
                // The way to the server is a new one: what is open may be dead.
                changed = clients.changed() => match changed {
                    Ok(()) => { backoff.reset(); continue }
                    Err(_) => return,
                },
            };
            let Ok(outcome) = outcome else { return };
            if began.elapsed() >= STEADY {
                backoff.reset();
            }
            let is_steady = match outcome {
                Ok(()) => began.elapsed() >= STEADY,
                Err(failure) => {
                    if self.failed(&failure).await.is_err() {
                        return;
                    }
                    false
                }
            };
            if !is_steady {
                tokio::select! {
                    biased;
                    () = sleep(backoff.next()) => {}
                    _ = clients.changed() => backoff.reset(),
                }
            }
        }
    }

    /// Lists if that is due, and watches until the watch ends.
    async fn follow(&mut self, client: &Client) -> Result<Result<(), Failure>, Ended> {
        let begun = match self.version.clone() {
            Some(version) => {
                request::watch(client, &self.asked, Some(&version), &mut self.rng).await
            }
            None => match self.list(client).await? {
                Ok(Some(events)) => Ok(events),
                Ok(None) => {
                    let version = self.version.clone();
                    request::watch(client, &self.asked, version.as_deref(), &mut self.rng).await
                }
                Err(failure) => Err(failure),
            },
        };
        let mut events = match begun {
            Ok(events) => events,
            Err(failure) => return Ok(Err(failure)),
        };
        if std::mem::take(&mut self.is_failing) {
            self.send(Report::Well(self.source.clone())).await?;
        }
        loop {
            match events.next().await {
                Ok(Some(event)) => self.take(event).await?,
                Ok(None) => return Ok(Ok(())),
                Err(failure) => return Ok(Err(failure)),
            }
        }
    }

    /// Reads everything that is there; with the watch that goes on from there, if it was streamed.
    async fn list(&mut self, client: &Client) -> Result<Result<Option<Events>, Failure>, Ended> {
        if self.streams {
            let streamed = tokio::time::timeout(STREAM_TIMEOUT, self.stream(client)).await;
            match streamed {
                Ok(Ok((objects, version, events))) => {
                    self.listed(objects, version).await?;
                    return Ok(Ok(Some(events)));
                }
                // It does not offer them after all.
                Ok(Err(Failure::Refused { code: 400 | 422, .. })) | Err(_) => self.streams = false,
                Ok(Err(failure)) => return Ok(Err(failure)),
            }
        }
        match request::list(client, &self.asked).await {
            Ok((_, version)) if version.is_empty() => {
                Ok(Err(Failure::Broken("the list has no resourceVersion".to_owned())))
            }
            Ok((objects, version)) => {
                self.listed(objects, version).await?;
                Ok(Ok(None))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn stream(&mut self, client: &Client) -> Result<(Vec<Read<T>>, String, Events), Failure> {
        let mut events = request::watch(client, &self.asked, None, &mut self.rng).await?;
        let mut objects = BTreeMap::new();
        loop {
            match events.next().await? {
                Some(Event::Put(read, _)) => drop(objects.insert(read.key.clone(), read)),
                Some(Event::Remove(read, _)) => drop(objects.remove(&read.key)),
                Some(Event::Bookmark(version, true)) => {
                    return Ok((objects.into_values().collect(), version, events));
                }
                Some(Event::Bookmark(_, false)) => {}
                None => return Err(Failure::Broken("the list was cut off".to_owned())),
            }
        }
    }

    async fn listed(&mut self, objects: Vec<Read<T>>, version: String) -> Result<(), Ended> {
        let bad = |it: &Read<T>| Some((it.key.clone(), it.object.as_ref().err()?.clone()));
        let malformed: Vec<_> = objects.iter().filter_map(bad).collect();
        let change = Relist { place: self.place, scope: self.source.scope.clone(), objects };
        self.is_failing = false;
        self.send(Report::Listed(self.source.clone(), Box::new(change))).await?;
        self.version = Some(version);
        for (key, why) in malformed {
            self.malformed(key, why).await?;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event<T>) -> Result<(), Ended> {
        let place = self.place;
        let (key, change, version): (_, Box<dyn Change>, _) = match event {
            Event::Put(Read { key, object: Ok(object) }, version) => {
                let put = Put {
                    place,
                    key: key.clone(),
                    object,
                    ignores_status: self.kind.ignores_status,
                };
                (key, Box::new(put), version)
            }
            Event::Put(Read { key, object: Err(why) }, version) => {
                self.version = Some(version);
                return self.malformed(key, why).await;
            }
            Event::Remove(Read { key, .. }, version) => {
                (key.clone(), Box::new(Remove { place, key }), version)
            }
            Event::Bookmark(version, _) => {
                self.version = Some(version);
                return Ok(());
            }
        };
        // First on its way, then done with: a cancelled send is made up for.
        self.send(Report::Changed(self.kind.name, key, change)).await?;
        self.version = Some(version);
        Ok(())
    }

    async fn failed(&mut self, failure: &Failure) -> Result<(), Ended> {
        if matches!(failure, Failure::Gone) {
            tracing::debug!(source = %self.source, "listing anew");
            self.version = None;
            return Ok(());
        }
        self.is_failing = true;
        let (source, error) = (self.source.clone(), failure.to_string());
        self.send(Report::Failing { source, error, code: failure.code() }).await
    }

    async fn malformed(&self, key: ObjectKey, error: String) -> Result<(), Ended> {
        self.send(Report::Malformed { kind: self.kind.name, key, error }).await
    }

    async fn send(&self, report: Report) -> Result<(), Ended> {
        self.reports.send(report).await.map_err(|()| Ended)
    }
}
