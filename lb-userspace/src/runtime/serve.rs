//! `lbd run`: everything that a running daemon consists of.

use super::{Daemon, Drains, Event, Instance, Lock, Parts, Routes, packet_log, sweep};
use crate::{
    EBPF_OBJECT,
    admin::{Api, Command, Status, bind, router},
    config::{self, FileEvent, Referred},
    dataplane::{Dataplane, OpenOptions},
    health::{Checkers, Transition},
    model::{Desired, Settings},
    reconcile::Driver,
};
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

/// Events waiting for the driver. When full, their senders wait.
const EVENTS_MAX: usize = 1_024;

/// Threads beside the driver's: health probes, the API, netlink.
const WORKERS: usize = 2;

/// Runs the daemon in the foreground until SIGTERM or SIGINT. Forwarding goes on after it.
pub fn run(instance: &Instance, file: &Path) -> Result<()> {
    let _lock = Lock::take(instance)?;
    let (desired, referred) = read(file);
    let desired = desired.map_err(|error| anyhow::anyhow!("{error}"))?;
    // The driver's thread is not one of the workers: while it compiles and writes maps, probes
    // and the API go on.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("lbd")
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(instance, file, desired, referred));
    runtime.shutdown_background();
    served
}

async fn serve(
    instance: &Instance,
    file: &Path,
    desired: Desired,
    referred: Referred,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let dataplane = open(instance, &desired.settings)?;
    let drains = Drains::new(instance.drains());
    let driver = Driver::adopt(dataplane, drains.load()?)?;
    let checkers = Checkers::new(desired.settings.seed, forward_health(events.clone()));
    let board = checkers.board();
    let logs_packets = desired.settings.packet_log;
    let routes = Routes::open()?;
    let (name, path) = (instance.name().to_owned(), file.display().to_string());
    let mut daemon = Daemon::new(Parts { driver, checkers, drains, instance: name, file: path });
    let status = daemon.status();

    let reach = routes.reach(&desired, &status).await?;
    daemon.start(desired, reach)?;
    let inspect = Arc::new(Dataplane::open_pinned(instance.name())?);
    let commands = forward_commands(events.clone());
    let api = Api { status: Arc::clone(&status), inspect, board, commands };
    // Only now: who finds the socket gets answers.
    let listener = bind(&instance.socket())?;
    tokio::spawn(async move { axum::serve(listener, router(api)).await });
    sweep::start(Dataplane::open_pinned(instance.name())?, events.clone())?;
    if logs_packets {
        tokio::spawn(packet_log::follow(Dataplane::open_pinned(instance.name())?));
    }
    tokio::spawn(routes.clone().watch(Arc::clone(&status), events.clone()));
    let (referred, watched) = watch::channel(referred);
    let source = Source { file: file.to_owned(), referred, routes, status, events: events.clone() };
    let changes = config::watch(file, watched).context("watching the configuration file")?;
    tokio::spawn(async move { signals.handle(source, changes, events).await });

    daemon.run(received).await;
    tracing::info!("stopped; forwarding goes on without lbd (`lbd detach` ends it)");
    fs::remove_file(instance.socket()).context("removing the socket")
}

/// Opens the data plane, unless what runs was made with another seed: every flow would move.
fn open(instance: &Instance, settings: &Settings) -> Result<Dataplane> {
    if let Ok(pinned) = Dataplane::open_pinned(instance.name()) {
        let info = pinned.info()?;
        if info.generation != 0 && info.seed != settings.seed {
            bail!(
                "the running data plane has seed {}, the configuration {}: run `lbd detach` first \
                 (forwarding stops, flows are forgotten)",
                info.seed,
                settings.seed
            );
        }
    }
    let options =
        OpenOptions { instance: instance.name(), object: EBPF_OBJECT, settings: settings.clone() };
    Dataplane::open(&options).context("the data plane cannot be opened")
}

/// Reads the configuration, and tells what it refers to; what is wrong with it in the operator's
/// words.
fn read(file: &Path) -> (Result<Desired, String>, Referred) {
    let checked = config::check_file(file);
    let diagnostics = checked.diagnostics.to_string();
    let desired = checked.desired.ok_or_else(|| diagnostics.clone());
    if desired.is_ok() && !diagnostics.is_empty() {
        tracing::warn!("{diagnostics}");
    }
    (desired, checked.referred)
}

/// The configuration file, and what must be known before a new version of it can be used.
struct Source {
    file: PathBuf,
    /// What the file refers to, for who watches it.
    referred: watch::Sender<Referred>,
    routes: Routes,
    status: Arc<ArcSwap<Status>>,
    events: mpsc::Sender<Event>,
}

impl Source {
    /// Reads the file and sends it on, after the way to its backends. An error means that nobody
    /// listens any more.
    async fn reload(&self, cause: &'static str) -> Result<(), mpsc::error::SendError<Event>> {
        self.events.send(Event::Reloading).await?;
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let mut result = match read {
            Ok((result, referred)) => {
                self.referred.send_replace(referred);
                result
            }
            Err(error) => Err(error.to_string()),
        };
        if let Ok(desired) = &result {
            match self.routes.reach(desired, &self.status).await {
                Ok(reach) => self.events.send(Event::Reach(reach)).await?,
                Err(error) => result = Err(format!("routes cannot be read: {error:#}")),
            }
        }
        self.events.send(Event::Configuration { cause, result }).await
    }
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Turns signals and changes of the file into events until the daemon stops.
    async fn handle(
        &mut self,
        source: Source,
        mut changes: mpsc::Receiver<FileEvent>,
        events: mpsc::Sender<Event>,
    ) {
        loop {
            let sent = tokio::select! {
                _ = self.hangup.recv() => source.reload("SIGHUP").await,
                _ = self.interrupt.recv() => events.send(Event::Stop).await,
                _ = self.terminate.recv() => events.send(Event::Stop).await,
                Some(change) = changes.recv() => match change {
                    FileEvent::Changed => source.reload("file changed").await,
                    FileEvent::Removed => {
                        tracing::warn!("the configuration file is gone; what runs goes on");
                        Ok(())
                    }
                },
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// A channel for checkers, which must never wait for the driver.
fn forward_health(events: mpsc::Sender<Event>) -> mpsc::UnboundedSender<Transition> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(transition) = receiver.recv().await {
            if events.send(Event::Health(transition)).await.is_err() {
                return;
            }
        }
    });
    sender
}

fn forward_commands(events: mpsc::Sender<Event>) -> mpsc::Sender<Command> {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(command) = receiver.recv().await {
            if events.send(Event::Command(command)).await.is_err() {
                return;
            }
        }
    });
    sender
}
