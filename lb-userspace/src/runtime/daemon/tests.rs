use super::*;
use crate::{
    health::test_service::{backend, service},
    model::{Desired, ProxySettings, Service},
    reconcile::Tables,
};
use std::path::Path;
use tempfile::TempDir;

fn web() -> Service {
    let backends = [("a", backend(Some("10.0.0.1"), None)), ("b", backend(Some("10.0.0.2"), None))];
    service(&["192.0.2.10:80"], backends)
}

fn desired(service: Service) -> Desired {
    let services = [("web".to_owned(), service)].into();
    Desired { interfaces: vec!["eth0".to_owned()], services, ..Desired::default() }
}

struct Running {
    directory: TempDir,
    status: Arc<ArcSwap<Status>>,
    events: mpsc::Sender<Event>,
    task: tokio::task::JoinHandle<Ended>,
}

/// A daemon's parts over tables in memory, with its files in `folder`.
pub(crate) fn parts(folder: &Path) -> Parts<Tables> {
    let (transitions, _) = mpsc::unbounded_channel();
    let settings = ProxySettings { workers: Some(1), ..ProxySettings::default() };
    Parts {
        driver: Driver::adopt(Tables::default(), BTreeSet::new()).unwrap(),
        checkers: Checkers::new(1, transitions.clone()),
        endpoint_checkers: Checkers::new(1, transitions),
        proxy: Proxy::start(&settings, 1).unwrap(),
        drains: Drains::new(folder.join("drains.json")),
        instance: "test".to_owned(),
        file: "lb.yaml".to_owned(),
        outcomes: watch::channel(Outcome::default()).0,
    }
}

fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(parts(directory.path()));
    daemon.start(desired(web()).into(), BTreeMap::new()).unwrap();
    let status = daemon.status();
    let (events, received) = mpsc::channel(64);
    Running { directory, status, events, task: tokio::spawn(daemon.run(received)) }
}

impl Running {
    fn generation(&self) -> GenerationResource {
        self.status.load().generation.clone()
    }

    async fn drain(&self, backend: &str, drain: bool) -> Result<u64, String> {
        let key = ("web".to_owned(), backend.to_owned());
        let (reply, answer) = oneshot::channel();
        let command = Command::Drain { key, drain, reply };
        self.events.send(Event::Command(command)).await.unwrap();
        answer.await.unwrap()
    }

    async fn configure(&self, result: Result<Desired, String>) {
        let result = result.map(Configuration::from);
        self.events.send(Event::Configuration { cause: "test", result }).await.unwrap();
        // Answered after the configuration was acted on: events keep their order.
        self.drain("b", false).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn starts_converged() {
    let running = start();
    let generation = running.generation();
    assert_eq!((generation.desired, generation.applied), (Some(1), 1));
    assert_eq!(generation.degraded, Vec::<String>::new());
    assert_eq!(generation.interfaces.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_changes_nothing_and_is_told_until_a_good_one_comes() {
    let running = start();
    let before = running.status.load_full();
    running.configure(Err("lb.yaml:3:1: no".to_owned())).await;
    let after = running.status.load_full();
    assert_eq!(after.image, before.image);
    let configuration = after.generation.configuration.clone().unwrap();
    assert_eq!(configuration.last_error.as_deref(), Some("lb.yaml:3:1: no"));
    assert!(!after.generation.degraded.is_empty());

    running.configure(Ok(desired(web()))).await;
    let generation = running.generation();
    assert_eq!(generation.configuration.unwrap().last_error, None);
    assert_eq!((generation.applied, generation.degraded.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_answered_when_in_force_and_survives() {
    let running = start();
    assert_eq!(running.drain("a", true).await, Ok(2));
    let drains = Drains::new(running.directory.path().join("drains.json"));
    assert_eq!(drains.load().unwrap().backends, [("web".to_owned(), "a".to_owned())].into());
    assert_eq!(running.status.load().image.generation, 2);
    assert_eq!(running.drain("a", true).await, Ok(2), "draining twice changes nothing");
    assert_eq!(running.drain("a", false).await, Ok(3));
    assert_eq!(drains.load().unwrap(), Drained::default());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_events_is_one_generation() {
    let running = start();
    for (backend, is_up) in [("a", false), ("b", false), ("a", true)] {
        let key = ("web".to_owned(), backend.to_owned());
        let transition = Transition { key, is_up, reason: "test".to_owned() };
        running.events.send(Event::Health(transition)).await.unwrap();
    }
    assert_eq!(running.drain("b", false).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn all_backends_down_is_degraded() {
    let running = start();
    for backend in ["a", "b"] {
        let key = ("web".to_owned(), backend.to_owned());
        let transition = Transition { key, is_up: false, reason: "test".to_owned() };
        running.events.send(Event::Health(transition)).await.unwrap();
    }
    running.drain("b", false).await.unwrap();
    let degraded = running.generation().degraded;
    assert_eq!(degraded, ["192.0.2.10:80/tcp has no usable backend"]);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_the_loop() {
    let running = start();
    running.events.send(Event::Stop).await.unwrap();
    assert_eq!(running.task.await.unwrap(), Ended::Stopped);
}
