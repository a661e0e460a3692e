//! The daemon: collects events into bursts, runs a cycle for each, and publishes what came of it.

mod report;

pub use report::interface;

use super::{Configuration, Drained, Drains, Event, Offer, ServiceManager, wall_ms};
use crate::{
    admin::{Command, Status, resource::GenerationResource},
    health::{Checkers, Transition, endpoint_targets, targets},
    kube::Outcome,
    proxy::{handle::Proxy, snapshot::Problem},
    reconcile::{Cycle, CycleError, Driver, Engine, Fact, Reach},
};
use arc_swap::ArcSwap;
use report::log_attached;
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{self, Instant},
};

/// Events that follow one another within this time share a cycle: a burst of neighbour or health
/// changes costs one change of the maps.
const BURST: Duration = Duration::from_millis(15);

/// When a failed cycle, or an interface that could not be attached, is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody runs the instance any more.
    Stopped,
    /// A successor runs it.
    HandedOver,
}

/// What a [`Daemon`] is made of.
pub struct Parts<E> {
    /// Reconciler.
    pub driver: Driver<E>,
    /// Health checks of backends.
    pub checkers: Checkers,
    /// Health checks of upstreams' endpoints.
    pub endpoint_checkers: Checkers,
    /// The L7 proxy.
    pub proxy: Proxy,
    /// Where drains are kept.
    pub drains: Drains,
    /// Instance name.
    pub instance: String,
    /// Configuration file as given.
    pub file: String,
    /// Told what became of what clusters ask for.
    pub outcomes: watch::Sender<Outcome>,
}

/// The daemon's state beside the driver's.
pub struct Daemon<E> {
    parts: Parts<E>,
    status: Arc<ArcSwap<Status>>,
    manager: ServiceManager,
    loaded_ms: u64,
    last_error: Option<String>,
    problems: Vec<Problem>,
    /// Number of the newest configuration, and what it leaves out.
    newest: (u64, Vec<Problem>),
    retry_at: Option<Instant>,
    causes: BTreeSet<&'static str>,
    replies: Vec<oneshot::Sender<Result<u64, String>>>,
    successor: Option<Offer>,
}

impl<E: Engine<Error: Error + 'static>> Daemon<E> {
    /// A daemon that has not read its configuration yet.
    pub fn new(parts: Parts<E>) -> Self {
        let status = Status {
            image: Arc::new(parts.driver.running().clone()),
            observed: Arc::default(),
            generation: GenerationResource::new(&parts.instance, 0),
            problems: Vec::new(),
            drained_endpoints: BTreeSet::new(),
        };
        let mut daemon = Self {
            parts,
            status: Arc::new(ArcSwap::from_pointee(status)),
            manager: ServiceManager,
            loaded_ms: 0,
            last_error: None,
            problems: Vec::new(),
            newest: (0, Vec::new()),
            retry_at: None,
            causes: BTreeSet::new(),
            replies: Vec::new(),
            successor: None,
        };
        daemon.publish();
        daemon
    }

    /// The published status, which follows every cycle.
    pub fn status(&self) -> Arc<ArcSwap<Status>> {
        Arc::clone(&self.status)
    }

    /// Brings the first configuration into force. An error means that nothing was changed, or
    /// that the data plane does not work.
    pub fn start(
        &mut self,
        configuration: Configuration,
        reach: BTreeMap<IpAddr, Reach>,
    ) -> Result<(), CycleError> {
        self.parts.driver.note(Fact::Reach(reach));
        self.take_configuration("start", configuration);
        self.cycle().unwrap_or(Ok(()))?;
        self.manager.ready();
        Ok(())
    }

    /// Handles events until [`Event::Stop`], until a successor serves, or until nobody can send
    /// any more; then lets what is open finish.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) -> Ended {
        let ended = self.handle(&mut events).await;
        // What waits for a place in the queue must not keep anybody from ending.
        drop(events);
        if ended == Ended::Stopped {
            self.manager.stopping();
        }
        let proxy = self.parts.proxy;
        let end = move || match ended {
            Ended::Stopped => proxy.stop(),
            Ended::HandedOver => proxy.leave(),
        };
        if tokio::task::spawn_blocking(end).await.is_err() {
            tracing::error!("the proxy did not stop as it should");
        }
        ended
    }

    async fn handle(&mut self, events: &mut mpsc::Receiver<Event>) -> Ended {
        loop {
            let first = tokio::select! {
                event = events.recv() => event,
                () = sleep_until(self.due()) => Some(Event::Due),
            };
            let Some(first) = first else { return Ended::Stopped };
            let burst = |event: &Event| if event.is_whole() { Duration::ZERO } else { BURST };
            let mut end = Instant::now() + burst(&first);
            let mut stops = self.take(first);
            while let Ok(Some(event)) = time::timeout_at(end, events.recv()).await {
                end = end.min(Instant::now() + burst(&event));
                stops |= self.take(event);
            }
            if stops {
                return Ended::Stopped;
            }
            // Errors are logged and published; the loop goes on.
            drop(self.cycle());
            if let Some(successor) = self.successor.take()
                && self.hand_over(successor).await
            {
                return Ended::HandedOver;
            }
        }
    }

    /// Gives a successor the sockets and changes nothing until it serves, or does not.
    async fn hand_over(&self, successor: Offer) -> bool {
        let sockets = self.parts.proxy.sockets();
        let given = tokio::task::spawn_blocking(move || successor.hand_over(&sockets)).await;
        match given {
            Ok(Ok(())) => {
                tracing::info!("a successor serves; what is open here finishes");
                return true;
            }
            Ok(Err(error)) => tracing::error!("not handed over, going on: {error:#}"),
            Err(error) => tracing::error!(%error, "not handed over, going on"),
        }
        false
    }

    /// Notes an event; true if it ends the loop.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Configuration { cause, result: Ok(configuration) } => {
                self.take_configuration(cause, configuration);
            }
            Event::Configuration { cause, result: Err(error) } => {
                tracing::error!("the new configuration is not used ({cause}):\n{error}");
                self.last_error = Some(error);
                self.manager.ready();
                self.publish();
            }
            Event::Reach(reach) => {
                self.causes.insert("routes and neighbours");
                self.parts.driver.note(Fact::Reach(reach));
            }
            Event::Links => {
                self.causes.insert("interfaces");
                self.parts.driver.note(Fact::Links);
            }
            Event::Health(transition) => self.take_health(transition),
            Event::EndpointHealth(transition) => self.take_endpoint_health(transition),
            Event::Command(Command::Drain { key, drain, reply }) => {
                self.take_drain(key, drain, reply);
            }
            Event::Swept { generation, held_slots } => {
                self.causes.insert("sweep");
                self.parts.driver.note(Fact::Swept { generation, held_slots });
            }
            Event::Due => {
                self.causes.insert("timer");
                self.parts.driver.note(Fact::Time);
            }
            Event::Reloading => self.manager.reloading(),
            // Only the first that asks gets it; another one is told nothing, and gives up.
            // Who asked before may have died since; of two that live, one has to go anyway.
            Event::HandOver(offer) => self.successor = Some(offer),
            Event::Stop => return true,
        }
        false
    }

    fn take_configuration(&mut self, cause: &'static str, configuration: Configuration) {
        let Configuration { desired, number, left_out } = configuration;
        self.causes.insert(cause);
        self.newest = (number, left_out);
        self.parts.driver.note(Fact::Desired(desired));
    }

    fn take_health(&mut self, transition: Transition) {
        let Transition { key, is_up, reason } = transition;
        let (service, backend) = &key;
        if is_up {
            tracing::info!(service, backend, reason, "backend is up");
        } else {
            tracing::warn!(service, backend, reason, "backend is down");
        }
        self.causes.insert("health");
        self.parts.driver.note(Fact::Health { key, is_up });
    }

    fn take_endpoint_health(&self, transition: Transition) {
        let Transition { key: (upstream, endpoint), is_up, reason } = transition;
        if is_up {
            tracing::info!(upstream, endpoint, reason, "endpoint is up");
        } else {
            tracing::warn!(upstream, endpoint, reason, "endpoint is down");
        }
        self.parts.proxy.set_health(&upstream, &endpoint, is_up);
    }

    /// Stores the drain first: a crash must not forget what an operator was told.
    fn take_drain(
        &mut self,
        key: (String, String),
        drain: bool,
        reply: oneshot::Sender<Result<u64, String>>,
    ) {
        let mut drained = self.drained();
        let is_backend = self.parts.driver.has_backend(&key);
        let (group, member) = &key;
        let snapshot = self.parts.proxy.snapshot();
        let upstream = snapshot.upstreams.get(group.as_str());
        let is_endpoint = upstream.is_some_and(|it| it.has_endpoint(member));
        let set = |all: &mut BTreeSet<_>| {
            if drain { all.insert(key.clone()) } else { all.remove(&key) }
        };
        let mut is_news = is_backend && set(&mut drained.backends);
        is_news |= is_endpoint && set(&mut drained.endpoints);
        if is_news && let Err(error) = self.parts.drains.store(&drained) {
            tracing::error!("drains cannot be stored: {error:#}");
            // The asker may be gone.
            reply.send(Err(format!("{error:#}"))).ok();
            return;
        }
        tracing::info!(group, member, drain, "operator");
        self.replies.push(reply);
        self.parts.proxy.set_drain(group, member, drain);
        if is_backend {
            self.causes.insert("operator");
            self.parts.driver.note(Fact::Drain { key, drain });
        }
    }

    /// What operators drained.
    fn drained(&self) -> Drained {
        Drained {
            backends: self.parts.driver.observed().drained.clone(),
            endpoints: self.parts.proxy.drained(),
        }
    }

    /// Runs a cycle and lets everyone know; `None` if there was nothing to do.
    fn cycle(&mut self) -> Option<Result<(), CycleError>> {
        let began = Instant::now();
        let outcome = self.parts.driver.cycle(wall_ms());
        let causes = std::mem::take(&mut self.causes);
        self.retry_at = None;
        match &outcome {
            Some(Ok(cycle)) => self.succeeded(cycle, &causes, began.elapsed()),
            Some(Err(error)) => self.failed(error, &causes),
            None => {}
        }
        if self.parts.driver.is_partly_attached() {
            self.retry_at = Some(Instant::now() + RETRY);
        }
        self.publish();
        let generation = self.parts.driver.running().generation;
        let reply = match &outcome {
            Some(Err(error @ CycleError::Engine(_))) => Err(error.to_string()),
            _ => Ok(generation),
        };
        for asker in self.replies.drain(..) {
            // The asker may be gone.
            asker.send(reply.clone()).ok();
        }
        outcome.map(|result| result.map(drop))
    }

    fn succeeded(&mut self, cycle: &Cycle, causes: &BTreeSet<&'static str>, took: Duration) {
        if cycle.took_desired {
            self.loaded_ms = wall_ms();
            self.last_error = None;
            self.serve(cycle.generation);
            let driver = &self.parts.driver;
            let drained = self.drained();
            if let Err(error) = self.parts.drains.store(&drained) {
                tracing::error!("drains cannot be stored: {error:#}");
            }
            self.manager.ready();
            for attached in driver.attachments() {
                log_attached(attached);
            }
        }
        for unusable in &cycle.unusable {
            let (vip, backend) = (&unusable.vip, &unusable.backend);
            tracing::debug!(%vip, backend, reason = unusable.reason, "backend cannot be used yet");
        }
        if cycle.steps.is_empty() && !cycle.took_desired {
            tracing::debug!(?causes, "nothing to change");
            return;
        }
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (generation, steps) = (cycle.generation, &cycle.steps);
        tracing::info!(generation, ?causes, ?steps, duration_us, "applied");
        self.manager.status(&format!("generation {generation}"));
    }

    /// Has the proxy serve, and the checkers check, what is desired now.
    fn serve(&mut self, generation: u64) {
        let Parts { driver, checkers, endpoint_checkers, proxy, outcomes, .. } = &mut self.parts;
        let Some(desired) = driver.desired() else { return };
        checkers.reconcile(&targets(desired), &driver.observed().down);
        let (number, left_out) = self.newest.clone();
        let known = std::mem::replace(&mut self.problems, left_out);
        self.problems.extend(proxy.apply(&desired.proxy, generation));
        for problem in self.problems.iter().filter(|it| !known.contains(it)) {
            let Problem { object, why } = problem;
            tracing::warn!(object, why, "does not work");
        }
        let told = self.problems.iter().map(|it| (it.object.clone(), it.why.clone()));
        let problems = told.collect();
        outcomes.send_replace(Outcome { number, refused: None, problems });
        // Endpoints that were down stay so: the snapshot took their state over.
        endpoint_checkers.reconcile(&endpoint_targets(&desired.proxy), &BTreeSet::new());
    }

    fn failed(&mut self, error: &CycleError, causes: &BTreeSet<&'static str>) {
        tracing::error!(?causes, %error, "not applied");
        self.last_error = Some(error.to_string());
        if let CycleError::Refused(why) = error {
            let refused = Some(why.clone());
            let outcome = Outcome { number: self.newest.0, refused, problems: Vec::new() };
            self.parts.outcomes.send_replace(outcome);
        } else {
            self.retry_at = Some(Instant::now() + RETRY);
        }
        self.manager.ready();
    }

    /// When something is to be done without an event.
    fn due(&self) -> Option<Instant> {
        let window = self.parts.driver.window_ends_ms().map(|end_ms| {
            Instant::now() + Duration::from_millis(end_ms.saturating_sub(wall_ms()).max(1))
        });
        self.retry_at.into_iter().chain(window).min()
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
pub(crate) mod tests;
