//! The agent's loop.

use super::{
    Channels, ClusterReport, Outcome, Output, Settings,
    cluster::{PROBLEMS_MAX, Tracked},
    local::{Answering, local},
    told::Told,
    writing::Writing,
};
use crate::{
    Cluster, Connector, Lowered, Lowering, Notice, ObjectId, ObjectKind, Objects, World,
    due::until,
    lower::IngressClasses,
    saved::{Keeper, Shelf},
    watch::{ClusterWatch, Report, Reports},
};
use futures_util::future::{join, join_all};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot, watch},
    task::block_in_place,
    time::{Instant, sleep_until, timeout},
};

/// Reports on their way to the agent. When full, reading from API servers waits.
const REPORTS_MAX: usize = 1_024;

/// Changes that follow one another within this time are lowered together: an object and what it
/// refers to come by several watches.
const GATHER: Duration = Duration::from_millis(1);

/// Time between two lowerings, at least: changes that come meanwhile are lowered together. It is as
/// long as the last one took, so that no more than half of the time goes into it.
const COALESCE: Duration = Duration::from_millis(3);
const COALESCE_MAX: Duration = Duration::from_secs(1);

/// How long the first state waits for clusters that cannot be read.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// How long a change waits for Secrets and ConfigMaps that it refers to.
const NEEDS_WAIT: Duration = Duration::from_millis(500);

/// How often namespaces are looked at for being expired, and reports are told at least.
const TICK: Duration = Duration::from_secs(1);

/// How long a change of statuses alone waits for others, until it is compared with what is said.
const REPEAT_WAIT: Duration = Duration::from_millis(500);

/// How long it may take at the end to give a Lease back: its API server may not answer.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often reports about clusters are told, at most.
const REPORT_PERIOD: Duration = Duration::from_millis(200);

/// What [`Outcome::problems`] calls the configuration in a ConfigMap.
pub(super) const CONFIG_MAP: &str = "configuration in a ConfigMap";

/// The agent's loop and what it knows.
pub(super) struct Run {
    settings: watch::Receiver<Settings>,
    outcomes: watch::Receiver<Outcome>,
    outputs: mpsc::Sender<Output>,
    published: watch::Sender<Vec<ClusterReport>>,
    connector: Connector,
    told: watch::Sender<Arc<Told>>,
    sender: mpsc::Sender<(u64, Report)>,
    reports: mpsc::Receiver<(u64, Report)>,
    world: World,
    /// What was made of it.
    lowering: Lowering,
    /// In the order of `world.clusters`.
    tracked: Vec<Tracked>,
    next_token: u64,
    /// Since when something is to be lowered.
    dirty: Option<Instant>,
    /// When what is to be lowered may be, for the sake of what was lowered last.
    rested: Instant,
    /// Until when the first state waits for all clusters.
    first_wait: Option<Instant>,
    /// Until when what is to be lowered waits for what it refers to.
    needs_wait: Option<Instant>,
    /// When reports are told.
    report_at: Option<Instant>,
    /// What was sent last, with its number; that is beyond those of an agent before this one.
    sent: Output,
    has_sent: bool,
    /// What is to be said when that runs.
    lowered: Option<Arc<Lowered>>,
    writing: Writing,
    /// Where what clusters have is kept.
    shelf: Option<Shelf>,
    /// At health check ports of Services.
    answering: Answering,
    /// When what is said is compared with what objects say.
    repeat_at: Option<Instant>,
}

impl Run {
    pub(super) fn new(
        settings: watch::Receiver<Settings>,
        channels: Channels,
        connector: Connector,
    ) -> Self {
        let Channels { outputs, outcomes, reports: published, told, identity, saved } = channels;
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let number = outcomes.borrow().number;
        Self {
            settings,
            outcomes,
            outputs,
            published,
            connector,
            told,
            sender,
            reports,
            world: World::default(),
            lowering: Lowering::default(),
            tracked: Vec::new(),
            next_token: 0,
            dirty: None,
            rested: Instant::now() + COALESCE,
            first_wait: Some(Instant::now() + FIRST_WAIT),
            needs_wait: None,
            report_at: None,
            sent: Output { number, ..Output::default() },
            has_sent: false,
            lowered: None,
            writing: Writing::new(identity),
            shelf: saved.map(Shelf::new),
            answering: Answering::default(),
            repeat_at: None,
        }
    }

    /// Runs until it is stopped, or nobody listens.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        self.take_settings();
        let mut tick = Instant::now() + TICK;
        loop {
            let (due, report_at, repeat_at) = (self.due(), self.report_at, self.repeat_at);
            tokio::select! {
                // What is due comes before what is new: it is there once and then not again.
                biased;
                _ = &mut stopped => return self.end().await,
                () = until(due) => {
                    if self.lower().await.is_err() {
                        return;
                    }
                    self.recall(false).await;
                }
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.take_settings();
                }
                changed = self.outcomes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.settle();
                }
                changed = self.writing.changed() => {
                    if let Some(leads) = changed {
                        tracing::info!(leads, "election");
                        self.dirty.get_or_insert_with(Instant::now);
                    }
                    self.report_at.get_or_insert_with(|| Instant::now() + REPORT_PERIOD);
                }
                () = sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    if self.world.options.discovery.is_some() {
                        self.dirty.get_or_insert_with(Instant::now);
                    }
                    self.publish();
                }
                () = until(report_at) => self.publish(),
                () = until(repeat_at) => {
                    self.repeat_at = None;
                    self.writing.repeat(&self.world, &self.tracked);
                }
                report = self.reports.recv() => {
                    let Some(report) = report else { return };
                    self.take(report);
                    while let Ok(report) = self.reports.try_recv() {
                        self.take(report);
                    }
                }
            }
        }
    }

    /// Leaves everything to the next.
    async fn end(self) {
        let keeping = self.tracked.into_iter().map(Tracked::end);
        let releasing = timeout(RELEASE_TIMEOUT, self.writing.end());
        // A Lease that is not given back ends by itself.
        join(join_all(keeping), releasing).await.1.ok();
    }

    /// Watches the clusters that the operator names, in that order; those that are watched as they
    /// should be go on.
    fn take_settings(&mut self) {
        let Settings { options, file } = self.settings.borrow_and_update().clone();
        let mut tracked = std::mem::take(&mut self.tracked);
        let mut clusters = std::mem::take(&mut self.world.clusters);
        for wanted in &options.clusters {
            // What is watched does not depend on the weight.
            let same = |it: &Tracked| {
                let weight = it.options.weight;
                it.options == crate::ClusterOptions { weight, ..wanted.clone() }
            };
            let (one, cluster) = match tracked.iter().position(same) {
                Some(index) => (tracked.remove(index), clusters.remove(index)),
                None => (self.track(wanted), empty(wanted)),
            };
            self.world.clusters.push(Cluster { weight: wanted.weight, ..cluster });
            self.tracked.push(one);
        }
        if let Some(shelf) = self.shelf.clone() {
            let names = options.clusters.iter().map(|it| it.name.clone()).collect();
            tokio::task::spawn_blocking(move || shelf.tidy(&names));
        }
        self.writing.configure(&options, &self.tracked);
        self.world.options = options;
        self.world.file = file;
        self.dirty.get_or_insert_with(Instant::now);
        self.report_at.get_or_insert_with(Instant::now);
    }

    fn track(&mut self, wanted: &crate::ClusterOptions) -> Tracked {
        let token = self.next_token;
        self.next_token += 1;
        let reports = Reports::new(token, self.sender.clone());
        let watch = ClusterWatch::start(wanted.clone(), self.connector.clone(), reports);
        let shelf = self.shelf.clone();
        let keeper = shelf.map(|shelf| Keeper::start(shelf, wanted.clone()));
        Tracked::new(token, wanted.clone(), watch, keeper, now_ms())
    }

    fn take(&mut self, (token, report): (u64, Report)) {
        let clusters = self.tracked.iter_mut().zip(&mut self.world.clusters).enumerate();
        // A cluster that is no longer wanted may still have something on its way.
        let mut found = clusters.filter(|(_, (it, _))| it.token == token);
        let Some((index, (tracked, cluster))) = found.next() else { return };
        if matches!(report, Report::Reachable) {
            self.writing.connect(tracked, index == 0);
        }
        let was_read = tracked.is_read();
        if tracked.take(report, &mut cluster.objects, now_ms()) || !was_read && tracked.is_read() {
            self.dirty.get_or_insert_with(Instant::now);
        } else {
            self.repeat_at.get_or_insert_with(|| Instant::now() + REPEAT_WAIT);
        }
        // It may answer again, and be as it was.
        if self.dirty.is_none() && tracked.is_owed() {
            tracked.keep(&cluster.objects, &self.world.assigned);
        }
        self.report_at.get_or_insert_with(|| Instant::now() + REPORT_PERIOD);
    }

    /// Serves what was saved of clusters that do not answer; with `is_late`, of all that were not
    /// read yet.
    async fn recall(&mut self, is_late: bool) {
        let Some(shelf) = &self.shelf else { return };
        for (tracked, cluster) in self.tracked.iter_mut().zip(&mut self.world.clusters) {
            if !tracked.wants_saved(is_late) {
                continue;
            }
            let (from, options) = (shelf.clone(), tracked.options.clone());
            let path = shelf.path(&options.name);
            let loading = tokio::task::spawn_blocking(move || from.load(&options));
            let saved = match loading.await {
                Ok(Ok(saved)) => saved,
                Ok(Err(error)) => {
                    tracing::warn!(%error, path = %path.display(), "a saved state is ignored");
                    None
                }
                Err(_) => None,
            };
            if let Some(saved) = saved.as_ref().filter(|it| it.unreadable_count > 0) {
                let count = saved.unreadable_count;
                tracing::warn!(count, path = %path.display(), "saved objects cannot be read");
            }
            let assigned = tracked.take_saved(saved, &mut cluster.objects, now_ms());
            Arc::make_mut(&mut self.world.assigned).extend(assigned);
            self.dirty.get_or_insert_with(Instant::now);
            self.report_at.get_or_insert_with(Instant::now);
        }
    }

    /// When to lower.
    fn due(&self) -> Option<Instant> {
        let due = (self.dirty? + GATHER).max(self.rested);
        let is_served = self.tracked.iter().all(Tracked::is_served);
        let first = self.first_wait.filter(|_| !is_served).unwrap_or(due);
        let needs = match self.needs_wait {
            Some(until) if !self.tracked.iter().all(Tracked::has_needs) => until,
            _ => due,
        };
        Some(due.max(first).max(needs))
    }

    /// Lowers what the clusters have now, and sends it on if it is something else than before.
    async fn lower(&mut self) -> Result<(), mpsc::error::SendError<Output>> {
        self.recall(self.first_wait.is_some()).await;
        if self.find_needs() {
            return Ok(());
        }
        self.first_wait = None;
        self.needs_wait = None;
        let Some(since) = self.dirty.take() else { return Ok(()) };
        self.world.now_seconds = now_ms() / 1_000;
        self.world.leads = self.writing.leads();
        let recalled = self.tracked.iter().filter(|it| it.is_recalled());
        self.world.recalled = recalled.map(|it| it.options.name.clone()).collect();
        let began = Instant::now();
        // One odd object must not end the agent.
        let (world, lowering) = (&self.world, &mut self.lowering);
        let lowered = aside(|| catch_unwind(AssertUnwindSafe(|| lowering.lower(world))));
        let Ok(lowered) = lowered else {
            tracing::error!("what the clusters have cannot be lowered; what runs goes on");
            return Ok(());
        };
        self.world.assigned = Arc::clone(&lowered.assigned);
        for (tracked, cluster) in self.tracked.iter_mut().zip(&self.world.clusters) {
            tracked.keep(&cluster.objects, &self.world.assigned);
        }
        self.answering.tell(local(&self.world.clusters, &self.world.options));
        let (waited, took) = (began - since, began.elapsed());
        self.rested = Instant::now() + took.clamp(COALESCE, COALESCE_MAX);
        tracing::debug!(?waited, ?took, number = self.sent.number, "lowered");
        self.send(lowered).await
    }

    /// Looks for what is referred to; true if something new is, which is worth waiting for.
    fn find_needs(&mut self) -> bool {
        let options = Arc::clone(&self.world.options);
        let classes = IngressClasses::new(&self.world);
        let mut is_new = false;
        for (index, cluster) in self.world.clusters.iter_mut().enumerate() {
            if let Some(tracked) = self.tracked.get_mut(index).filter(|it| it.is_read()) {
                is_new |= tracked.need(&mut cluster.objects, &options, index == 0, &classes);
            }
        }
        if is_new {
            let until = Instant::now() + NEEDS_WAIT;
            // What a predecessor served must not go for want of what is about to be read.
            self.needs_wait = Some(self.first_wait.map_or(until, |first| first.max(until)));
        }
        is_new
    }

    async fn send(&mut self, mut lowered: Lowered) -> Result<(), mpsc::error::SendError<Output>> {
        let desired = std::mem::take(&mut lowered.desired);
        self.lowered = Some(Arc::new(lowered));
        let configuration = self.configuration();
        let is_same = desired == *self.sent.desired && configuration == self.sent.configuration;
        if std::mem::replace(&mut self.has_sent, true) && is_same {
            self.settle();
            return Ok(());
        }
        let number = self.sent.number + 1;
        self.sent = Output { number, desired: Arc::new(desired), configuration };
        self.outputs.send(self.sent.clone()).await
    }

    /// The configuration in the ConfigMap that the operator names.
    fn configuration(&self) -> Option<Arc<str>> {
        let (key, data_key) = self.world.options.config_map.as_ref()?;
        let objects = &self.world.clusters.first()?.objects;
        let data = objects.config_maps.get(key)?.data.as_ref()?;
        data.get(data_key).map(|it| it.as_str().into())
    }

    /// Says what came of what was lowered, if that is known.
    fn settle(&mut self) {
        let outcome = self.outcomes.borrow_and_update().clone();
        if outcome.number != self.sent.number {
            return;
        }
        let Some(mut lowered) = self.lowered.clone() else { return };
        if let Some(why) = &outcome.refused {
            Arc::make_mut(&mut lowered).refuse(why);
        }
        for (object, why) in &outcome.problems {
            // `listener NS/GATEWAY/SECTION`: names of objects have no spaces.
            let name = object.rsplit(' ').next().unwrap_or_default();
            if object == CONFIG_MAP {
                Arc::make_mut(&mut lowered).notices.extend(self.misconfigured(why));
            } else {
                Arc::make_mut(&mut lowered).fail(name, why);
            }
        }
        let clusters = self.world.clusters.clone();
        self.told.send_replace(Arc::new(Told { lowered: Arc::clone(&lowered), clusters }));
        self.writing.say(lowered, &self.world, &self.tracked);
    }

    /// What the users of the ConfigMap are told when its configuration cannot be used.
    fn misconfigured(&self, why: &str) -> Option<Notice> {
        let (key, _) = self.world.options.config_map.as_ref()?;
        let cluster = self.world.clusters.first()?.name.clone();
        let object = ObjectId { cluster, kind: ObjectKind::ConfigMap, key: key.clone() };
        let reason = "InvalidConfiguration";
        Some(Notice { object, is_warning: true, reason, message: why.to_owned() })
    }

    fn publish(&mut self) {
        self.report_at = None;
        let clusters = self.tracked.iter().zip(&self.world.clusters);
        let reports = clusters.map(|(tracked, cluster)| {
            let mut report = tracked.report(&cluster.objects);
            report.problems.extend(self.writing.problems(tracked.token));
            report.problems.truncate(PROBLEMS_MAX);
            report
        });
        self.published.send_replace(reports.collect());
    }
}

fn empty(options: &crate::ClusterOptions) -> Cluster {
    Cluster { name: options.name.clone(), weight: options.weight, objects: Objects::default() }
}

/// Does what takes long while other threads of the runtime, if it has some, look after the rest.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
