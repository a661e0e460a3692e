//! The configuration file as the daemon's source, and the signals that ask for it.

use super::{Event, Routes};
use crate::{
    admin::Status,
    config::{self, FileEvent, Referred},
    model::Desired,
};
use anyhow::Result;
use arc_swap::ArcSwap;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

/// Reads the configuration, and tells what it refers to; what is wrong with it in the operator's
/// words.
pub(super) fn read(file: &Path) -> (Result<Desired, String>, Referred) {
    let checked = config::check_file(file);
    let diagnostics = checked.diagnostics.to_string();
    let desired = checked.desired.ok_or_else(|| diagnostics.clone());
    if desired.is_ok() && !diagnostics.is_empty() {
        tracing::warn!("{diagnostics}");
    }
    (desired, checked.referred)
}

/// Whether packets have to be forwarded or steered.
pub(super) fn needs_kernel(desired: &Desired) -> bool {
    !desired.interfaces.is_empty()
}

/// The configuration file, and what must be known before a new version of it can be used.
pub(super) struct Source {
    /// Where it is.
    pub(super) file: PathBuf,
    /// What the file refers to, for who watches it.
    pub(super) referred: watch::Sender<Referred>,
    /// The way to backends; `None` = nothing is forwarded.
    pub(super) routes: Option<Routes>,
    /// What runs.
    pub(super) status: Arc<ArcSwap<Status>>,
    /// Where it is sent.
    pub(super) events: mpsc::Sender<Event>,
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
        match (&result, &self.routes) {
            (Ok(desired), Some(routes)) => match routes.reach(desired, &self.status).await {
                Ok(reach) => self.events.send(Event::Reach(reach)).await?,
                Err(error) => result = Err(format!("routes cannot be read: {error:#}")),
            },
            (Ok(desired), None) if needs_kernel(desired) => {
                result = Err("lbd was started without interfaces: restart it to serve VIPs".into());
            }
            _ => {}
        }
        self.events.send(Event::Configuration { cause, result }).await
    }
}

pub(super) struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Turns signals and changes of the file into events until the daemon stops.
    pub(super) async fn handle(
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
