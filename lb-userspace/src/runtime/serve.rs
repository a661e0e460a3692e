//! `lbd run`: everything that a running daemon consists of.

use super::{
    Daemon, Drains, Ended, Event, Instance, Lock, Parts, Routes,
    clusters::{Ends, Sources, ways},
    handoff::{self, Predecessor},
    packet_log,
    source::{File, Said, Signals, Source, needs_kernel, read},
    sweep,
};
use crate::{
    EBPF_OBJECT,
    admin::{Api, Command, Inspect, NoMaps, bind, router},
    config::{self, Referred},
    dataplane::{Dataplane, OpenOptions, Sockets},
    health::{Checkers, Transition},
    model::Settings,
    proxy::{
        accept::Bound,
        handle::{Inherited, Proxy},
    },
    reconcile::{Driver, Engine, Tables},
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// Events waiting for the driver. When full, their senders wait.
const EVENTS_MAX: usize = 1_024;

/// Threads beside the driver's: health probes, the API, netlink.
const WORKERS: usize = 2;

/// How often a successor asks.
const TRIES_MAX: u32 = 10;

/// Between two times.
const TRY_PAUSE: Duration = Duration::from_millis(200);

/// How a daemon comes into its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody else runs the instance.
    Alone,
    /// From the daemon that runs the instance, if one does.
    TakeOver,
}

/// What a daemon begins with.
struct Heritage {
    lock: Lock,
    sockets: Inherited,
    predecessor: Option<Predecessor>,
}

/// Runs the daemon in the foreground until SIGTERM or SIGINT, or until a successor takes over.
/// Forwarding goes on after it.
pub fn run(instance: &Instance, file: &File, start: Start) -> Result<()> {
    // First, so that a predecessor is not asked for nothing.
    let (said, referred) = read(file);
    let said = said.map_err(|error| anyhow::anyhow!("{error}"))?;
    let heritage = inherit(instance, start)?;
    // The driver's thread is not one of the workers: while it compiles and writes maps, probes
    // and the API go on.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("lbd")
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(instance, file, said, referred, heritage));
    runtime.shutdown_background();
    served
}

fn inherit(instance: &Instance, start: Start) -> Result<Heritage> {
    if start == Start::Alone {
        return alone(instance);
    }
    let mut tries = 1;
    loop {
        match take_over(instance) {
            // Another one may just have got everything, or not be ready to hand over.
            Err(_) if tries < TRIES_MAX => {}
            inherited => return inherited.context("taking over"),
        }
        tries += 1;
        thread::sleep(TRY_PAUSE);
    }
}

fn alone(instance: &Instance) -> Result<Heritage> {
    let lock = Lock::take(instance)?;
    Ok(Heritage { lock, sockets: Inherited::default(), predecessor: None })
}

fn take_over(instance: &Instance) -> Result<Heritage> {
    let Some((predecessor, estate)) = handoff::take_over(instance)? else {
        return alone(instance);
    };
    let lock = Lock::inherit(instance, estate.lock)?;
    Ok(Heritage { lock, sockets: estate.sockets, predecessor: Some(predecessor) })
}

async fn serve(
    instance: &Instance,
    file: &File,
    said: Said,
    referred: Referred,
    heritage: Heritage,
) -> Result<()> {
    let Heritage { lock, sockets, predecessor } = heritage;
    let signals = Signals::new()?;
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let (desired, options) = said;
    let proxy = Proxy::start_with(&desired.proxy.settings, desired.settings.seed, sockets)
        .context("the proxy cannot be started")?;
    let (ways, ends) = ways(instance.clusters());
    let needs_kernel = needs_kernel(&desired);
    let settings = desired.settings.clone();
    let sources = Sources::new(ways, desired, options);
    let begun = Begun {
        instance,
        file,
        settings,
        sources,
        ends,
        referred,
        signals,
        events,
        received,
        proxy,
        lock,
        predecessor,
    };
    if needs_kernel {
        Box::pin(begun.in_kernel()).await
    } else {
        tracing::info!("no interfaces: nothing is loaded into the kernel");
        Box::pin(begun.in_user_space()).await
    }
}

/// A daemon that begins to run.
struct Begun<'a> {
    instance: &'a Instance,
    file: &'a File,
    settings: Settings,
    sources: Sources,
    ends: Ends,
    referred: Referred,
    signals: Signals,
    events: mpsc::Sender<Event>,
    received: mpsc::Receiver<Event>,
    proxy: Proxy,
    lock: Lock,
    predecessor: Option<Predecessor>,
}

impl Begun<'_> {
    /// Forwards and steers packets beside proxying.
    async fn in_kernel(mut self) -> Result<()> {
        let name = self.instance.name();
        let mut dataplane = open(self.instance, &self.settings)?;
        let steered = self.proxy.steered().context("sockets for steered connections")?;
        dataplane.steer(&Sockets {
            tcp4: first(&steered.tcp4),
            tcp6: first(&steered.tcp6),
            udp4: first(&steered.udp4),
            udp6: first(&steered.udp6),
        })?;
        let logs_packets = self.settings.packet_log;
        let events = self.events.clone();
        let begin = || {
            sweep::start(Dataplane::open_pinned(name)?, events)?;
            if logs_packets {
                tokio::spawn(packet_log::follow(Dataplane::open_pinned(name)?));
            }
            Ok(())
        };
        let inspect = || Ok(Arc::new(Dataplane::open_pinned(name)?) as _);
        let routes = Routes::open()?;
        Box::pin(self.run(dataplane, inspect, Some(routes), begin)).await?;
        tracing::info!("stopped; forwarding goes on without lbd (`lbd detach` ends it)");
        Ok(())
    }

    /// Proxies only; needs no privilege.
    async fn in_user_space(self) -> Result<()> {
        let inspect = || Ok(Arc::new(NoMaps) as _);
        Box::pin(self.run(Tables::default(), inspect, None, || Ok(()))).await
    }

    /// Runs until the daemon is told to stop. `inspect` and `begin` are called when the first
    /// configuration is in force.
    async fn run<E: Engine<Error: Error + 'static>>(
        self,
        engine: E,
        inspect: impl FnOnce() -> Result<Arc<dyn Inspect>>,
        routes: Option<Routes>,
        begin: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let Self { instance, file, settings, mut sources, ends, .. } = self;
        let Self { referred, mut signals, events, received, .. } = self;
        let Self { mut proxy, lock, predecessor, .. } = self;
        let Ends { mut outputs, outcomes, reports, told } = ends;
        let drains = Drains::new(instance.drains());
        let drained = drains.load()?;
        let driver = Driver::adopt(engine, drained.backends)?;
        proxy.drain_first(drained.endpoints);
        let seed = settings.seed;
        let checkers = Checkers::new(seed, forward_health(events.clone(), Event::Health));
        let endpoints = forward_health(events.clone(), Event::EndpointHealth);
        let board = checkers.board();
        let common = proxy.common();
        let (name, path) = (instance.name().to_owned(), file.path.display().to_string());
        let mut daemon = Daemon::new(Parts {
            driver,
            checkers,
            endpoint_checkers: Checkers::new(seed, endpoints),
            proxy,
            drains,
            instance: name,
            file: path,
            outcomes,
        });
        let status = daemon.status();
        tokio::select! {
            () = sources.first(&mut outputs) => {}
            () = signals.stop() => return Ok(()),
        }
        let first = sources.configuration();
        let reach = match &routes {
            Some(routes) => routes.reach(&first.desired, &status).await?,
            None => BTreeMap::new(),
        };
        daemon.start(first, reach)?;
        let commands = forward_commands(events.clone());
        let api = Api {
            status: Arc::clone(&status),
            inspect: inspect()?,
            proxy: common,
            board,
            commands,
            clusters: reports,
            told,
        };
        // Only now: who finds the socket gets answers.
        let listener = bind(&instance.socket())?;
        tokio::spawn(async move { axum::serve(listener, router(api)).await });
        begin()?;
        if let Some(routes) = &routes {
            tokio::spawn(routes.clone().watch(Arc::clone(&status), events.clone()));
        }
        let sender = events.clone();
        let (referred, watched) = watch::channel(referred);
        let file = file.clone();
        let changes =
            config::watch(&file.path, watched).context("watching the configuration file")?;
        let source = Source { file, referred, sources, routes, status, events };
        tokio::spawn(async move { signals.handle(source, changes, outputs).await });

        handoff::offer(instance, lock.share()?, sender)?;
        if let Some(predecessor) = predecessor {
            predecessor.relieve()?;
        }
        if daemon.run(received).await == Ended::HandedOver {
            // The sockets' names are the successor's.
            return Ok(());
        }
        fs::remove_file(instance.handoff()).context("removing the socket of successors")?;
        fs::remove_file(instance.socket()).context("removing the socket")
    }
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

/// The socket that stands for its group.
fn first(bound: &Bound) -> Option<BorrowedFd<'_>> {
    bound.sockets.first().map(AsFd::as_fd)
}

/// A channel for checkers, which must never wait for the driver.
fn forward_health(
    events: mpsc::Sender<Event>,
    event: fn(Transition) -> Event,
) -> mpsc::UnboundedSender<Transition> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(transition) = receiver.recv().await {
            if events.send(event(transition)).await.is_err() {
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
