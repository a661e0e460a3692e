//! Writing statuses and Events of one cluster.

use super::{
    event::{self, Told},
    infrastructure::{self, Tried},
    ledger::{Ledger, fingerprint},
    merge::{farewell, merge},
    queue::Queue,
    said::{self, Said},
    send::{self, Base, Landing},
};
use crate::{
    InfrastructureChange, Lowered, ObjectId, ObjectKind, Objects, Status, due::until,
    watch::Versions,
};
use kube::Client;
use lb_model::Shared;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// Requests at once.
const IN_FLIGHT_MAX: usize = 32;

/// Objects that are looked at before others get a turn.
const LOOK_MAX: usize = 256;

/// Writes statuses and Events of one cluster while it leads; ends when dropped.
#[derive(Debug)]
pub struct Writer {
    latest: watch::Sender<Option<Arc<Publication>>>,
    counts: Arc<Mutex<Counts>>,
    task: JoinHandle<()>,
}

/// What was written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statuses written, by object that is still there.
    pub writes: BTreeMap<ObjectId, u64>,
    /// Statuses written, of all objects ever.
    pub writes_total: u64,
    /// Writes refused since the object had changed.
    pub conflicts_total: u64,
    /// Writes that failed otherwise.
    pub failures_total: u64,
    /// Events written.
    pub events_total: u64,
    /// Kinds whose status may not be written, with what the API server said.
    pub refused: BTreeMap<ObjectKind, String>,
}

/// What is to be said, and what the objects say as far as they are watched.
#[derive(Debug)]
struct Publication {
    objects: Objects,
    lowered: Arc<Lowered>,
}

impl Writer {
    /// Begins to write for `cluster` whenever `leads` is true. `versions` is what the API server
    /// has; of a kind that is not there it takes the newest. `instance` names this replica in
    /// Events. Must be called within a tokio runtime.
    pub fn start(
        cluster: &str,
        client: Client,
        versions: watch::Receiver<Versions>,
        leads: watch::Receiver<bool>,
        instance: &str,
    ) -> Self {
        let (latest, published) = watch::channel(None);
        let counts = Arc::default();
        let run = Run {
            cluster: cluster.to_owned(),
            client,
            versions,
            instance: instance.to_owned(),
            leads,
            published,
            publication: None,
            has_looked: false,
            queue: Queue::default(),
            ledger: Ledger::default(),
            in_flight: BTreeSet::new(),
            flights: JoinSet::new(),
            told: Told::new(Instant::now()),
            tellings: JoinSet::new(),
            tried: Tried::default(),
            makings: JoinSet::new(),
            counts: Arc::clone(&counts),
        };
        Self { latest, counts, task: tokio::spawn(run.run()) }
    }

    /// Says what `lowered` says, in place of what was published before. `objects` is the cluster's
    /// state that it was lowered from, or a later one.
    pub fn publish(&self, objects: Objects, lowered: Arc<Lowered>) {
        self.latest.send_replace(Some(Arc::new(Publication { objects, lowered })));
    }

    /// What was written so far.
    pub fn counts(&self) -> Counts {
        locked(&self.counts).clone()
    }

    /// See [`Counts::refused`].
    pub(crate) fn refused(&self) -> BTreeMap<ObjectKind, String> {
        locked(&self.counts).refused.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Publication {
    /// Objects that say, or are to say, something else than `before`.
    fn changes(&self, before: &Self, cluster: &str) -> BTreeSet<ObjectId> {
        let (statuses, known) = (&self.lowered.statuses, &before.lowered.statuses);
        let changes = statuses.changes(known, Shared::eq).into_iter();
        let mut ids: BTreeSet<ObjectId> = changes.map(|it| it.key.clone()).collect();
        ids.retain(|it| it.cluster == cluster);
        ids.extend(said::changes(&self.objects, &before.objects, cluster));
        ids
    }

    /// Objects that are to say something, and those that may have said something.
    fn all(&self, cluster: &str) -> BTreeSet<ObjectId> {
        let ids = self.lowered.statuses.keys().filter(|it| it.cluster == cluster).cloned();
        ids.chain(said::with_parents(&self.objects, cluster)).collect()
    }
}

struct Run {
    cluster: String,
    client: Client,
    versions: watch::Receiver<Versions>,
    instance: String,
    leads: watch::Receiver<bool>,
    published: watch::Receiver<Option<Arc<Publication>>>,
    publication: Option<Arc<Publication>>,
    /// All of the publication was looked at.
    has_looked: bool,
    queue: Queue,
    ledger: Ledger,
    in_flight: BTreeSet<ObjectId>,
    flights: JoinSet<(ObjectId, u64, String, Landing)>,
    told: Told,
    tellings: JoinSet<Result<(), kube::Error>>,
    tried: Tried,
    makings: JoinSet<Result<(), kube::Error>>,
    counts: Arc<Mutex<Counts>>,
}

impl Run {
    async fn run(mut self) {
        loop {
            let has_room = self.flights.len() < IN_FLIGHT_MAX;
            // What lands after the lead was lost may be due again, and nobody may do it.
            let leads = *self.leads.borrow();
            let due = self.queue.due().filter(|_| leads && has_room);
            let tell_at = self.told.due().filter(|_| leads);
            let make_at = self.tried.due().filter(|_| leads);
            tokio::select! {
                // What ends makes room, and is bounded; what is new may come all the time.
                biased;
                Some(landed) = self.flights.join_next() => {
                    if let Ok((id, desired, base, landing)) = landed {
                        self.land(id, desired, base, landing);
                    }
                }
                Some(told) = self.tellings.join_next() => match told {
                    Ok(Ok(())) => locked(&self.counts).events_total += 1,
                    Ok(Err(error)) => tracing::debug!(%error, "an Event was not taken"),
                    Err(_) => {}
                },
                Some(made) = self.makings.join_next() => {
                    if let Ok(Err(error)) = made {
                        tracing::warn!(%error, "an object for a Gateway was not taken");
                    }
                    self.make();
                }
                changed = self.leads.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.look(None).await;
                }
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let latest = self.published.borrow_and_update().clone();
                    let before = std::mem::replace(&mut self.publication, latest);
                    self.look(before.filter(|_| self.has_looked)).await;
                }
                () = until(due) => {}
                () = until(make_at) => self.make(),
                () = until(tell_at) => self.tell(),
            }
            self.launch();
        }
    }

    /// Looks for all that is to be written, of what is unlike it was `before`: that was looked at.
    async fn look(&mut self, before: Option<Arc<Publication>>) {
        if !*self.leads.borrow_and_update() {
            self.queue.clear();
            self.has_looked = false;
            return;
        }
        self.has_looked = true;
        let Some(publication) = self.publication.clone() else { return };
        let objects = &publication.objects;
        let ids = match &before {
            Some(before) => publication.changes(before, &self.cluster),
            None => publication.all(&self.cluster),
        };
        for (count, id) in ids.into_iter().enumerate() {
            if count % LOOK_MAX == LOOK_MAX - 1 {
                tokio::task::yield_now().await;
            }
            if said::metadata(objects, &id).is_none() {
                self.ledger.forget(&id);
                locked(&self.counts).writes.remove(&id);
            } else {
                self.consider(id);
            }
        }
        if before.is_none() {
            self.ledger.retain(|it| said::metadata(objects, it).is_some());
            locked(&self.counts).writes.retain(|it, _| said::metadata(objects, it).is_some());
        }
        self.tell();
        self.make();
    }

    /// Puts an object in the queue if something is to be written.
    fn consider(&mut self, id: ObjectId) {
        if self.in_flight.contains(&id) {
            return;
        }
        if let Some((status, ..)) = self.need(&id) {
            let due = self.ledger.due(&id, fingerprint(&status), Instant::now());
            self.queue.push(id, due);
        }
    }

    /// What is to be written about an object, if anything is.
    fn need(&self, id: &ObjectId) -> Option<(Status, Base)> {
        let Publication { objects, lowered } = self.publication.as_deref()?;
        let before = Said::of(objects, id)?;
        let parting = match lowered.statuses.get(id) {
            Some(_) => None,
            None => Some(farewell(&before)?),
        };
        let status = parting.as_ref().or_else(|| lowered.statuses.get(id).map(|it| &**it))?;
        if merge(status, &before, &send::now())? == before {
            return None;
        }
        let version = said::metadata(objects, id)?.resource_version.clone().unwrap_or_default();
        if self.ledger.is_written(id, fingerprint(status), &version, || fingerprint(&before)) {
            return None;
        }
        // What is watched is older than what was written last.
        let base = if self.ledger.is_outdated(id, &version) {
            Base::Read
        } else {
            Base::Known(before, version)
        };
        Some((status.clone(), base))
    }

    /// Starts what is due, as much as may be at once.
    fn launch(&mut self) {
        if !*self.leads.borrow() {
            return;
        }
        while self.flights.len() < IN_FLIGHT_MAX {
            let Some(id) = self.queue.pop(Instant::now()) else { return };
            let Some((status, base)) = self.need(&id) else { continue };
            let desired = fingerprint(&status);
            let version = match &base {
                Base::Known(_, version) => version.clone(),
                Base::Read => self.ledger.base(&id),
            };
            let client = self.client.clone();
            let resource = said::resource(id.kind, &self.versions.borrow());
            self.in_flight.insert(id.clone());
            self.flights.spawn(async move {
                let landing = send::send(client, &resource, &id, &status, base).await;
                (id, desired, version, landing)
            });
        }
    }

    /// Notes what came of a write.
    fn land(&mut self, id: ObjectId, desired: u64, base: String, landing: Landing) {
        self.in_flight.remove(&id);
        let mut counts = locked(&self.counts);
        counts.conflicts_total += landing.conflicts;
        match landing.result {
            Ok(written) => {
                counts.refused.remove(&id.kind);
                if written.is_new {
                    counts.writes_total += 1;
                    *counts.writes.entry(id.clone()).or_default() += 1;
                }
                drop(counts);
                self.ledger.write(&id, desired, base, &written, Instant::now());
            }
            Err(send::Problem::Gone) => {
                drop(counts);
                self.ledger.forget(&id);
                return;
            }
            Err(send::Problem::Refused(error)) => {
                counts.failures_total += 1;
                if counts.refused.insert(id.kind, error.clone()).is_none() {
                    let hint = write_hint(id.kind);
                    tracing::warn!(object = %id, error, hint, "the status may not be written");
                }
                drop(counts);
                self.ledger.fail(&id, Instant::now());
            }
            Err(send::Problem::Failed(error)) => {
                counts.failures_total += 1;
                drop(counts);
                tracing::debug!(object = %id, error, "the status was not taken");
                self.ledger.fail(&id, Instant::now());
            }
        }
        self.consider(id);
    }

    /// Makes what is to stand for Gateways.
    fn make(&mut self) {
        if !*self.leads.borrow() {
            self.tried = Tried::default();
            return;
        }
        let Some(publication) = &self.publication else { return };
        let lowered = &publication.lowered;
        let here = lowered.infrastructure.iter().filter(|it| it.cluster == self.cluster);
        let room = IN_FLIGHT_MAX.saturating_sub(self.makings.len());
        for InfrastructureChange { change, .. } in self.tried.next(Instant::now(), here, room) {
            self.makings.spawn(infrastructure::make(self.client.clone(), change));
        }
    }

    /// Tells what is new.
    fn tell(&mut self) {
        if !*self.leads.borrow() {
            return;
        }
        let Some(Publication { objects, lowered }) = self.publication.as_deref() else { return };
        let notices = lowered.notices.iter().filter(|it| it.object.cluster == self.cluster);
        for telling in self.told.next(Instant::now(), notices) {
            let Some(regarding) = event::regarding(objects, &telling.notice.object) else {
                continue;
            };
            let instance = self.instance.clone();
            let told = event::tell(self.client.clone(), instance, regarding, telling);
            self.tellings.spawn(told);
        }
    }
}

/// What to grant so that the status of a kind can be written.
pub(crate) fn write_hint(kind: ObjectKind) -> String {
    let resource = said::newest(kind);
    let group = if resource.group.is_empty() { "the core API group" } else { &resource.group };
    format!("allow its user to get and patch `{}/status` of {group}", resource.plural)
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
