//! The configuration file as the daemon's source, and the signals that ask for it.

use super::{Event, Routes, clusters::Sources};
use crate::{
    admin::Status,
    config::{self, FileEvent, Referred},
    kube::{Options, Output},
    model::Desired,
};
use anyhow::Result;
use arc_swap::ArcSwap;
use std::{path::PathBuf, sync::Arc};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

/// The configuration file, and what one that several hosts share cannot say.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Name of the node that this is, whatever the file says.
    pub node: Option<String>,
}

/// What the file says itself, and what it says about clusters.
pub(super) type Said = (Desired, Option<Options>);

/// Reads the configuration, and tells what it refers to; what is wrong with it in the operator's
/// words.
pub(super) fn read(file: &File) -> (Result<Said, String>, Referred) {
    let mut checked = config::check_file(&file.path);
    if let (Some(options), Some(node)) = (&mut checked.kubernetes, &file.node) {
        options.node = Some(node.clone());
    }
    let diagnostics = checked.diagnostics.to_string();
    let desired = checked.desired.ok_or_else(|| diagnostics.clone());
    if desired.is_ok() && !diagnostics.is_empty() {
        tracing::warn!("{diagnostics}");
    }
    (desired.map(|desired| (desired, checked.kubernetes)), checked.referred)
}

/// Whether packets have to be forwarded or steered.
pub(super) fn needs_kernel(desired: &Desired) -> bool {
    !desired.interfaces.is_empty()
}

/// The configuration's sources, and what must be known before what they say can be used.
pub(super) struct Source {
    /// The file.
    pub(super) file: File,
    /// What the file refers to, for who watches it.
    pub(super) referred: watch::Sender<Referred>,
    /// The file and the clusters.
    pub(super) sources: Sources,
    /// The way to backends; `None` = nothing is forwarded.
    pub(super) routes: Option<Routes>,
    /// What runs.
    pub(super) status: Arc<ArcSwap<Status>>,
    /// Where it is sent.
    pub(super) events: mpsc::Sender<Event>,
}

/// Nobody listens any more.
type Sent = Result<(), mpsc::error::SendError<Event>>;

impl Source {
    /// Reads the file and sends what it says on.
    async fn reload(&mut self, cause: &'static str) -> Sent {
        self.events.send(Event::Reloading).await?;
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let result = match read {
            Ok((result, referred)) => {
                self.referred.send_replace(referred);
                result
            }
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok((desired, _)) if self.routes.is_none() && needs_kernel(&desired) => {
                let why = "lbd was started without interfaces: restart it to serve VIPs".to_owned();
                self.events.send(Event::Configuration { cause, result: Err(why) }).await
            }
            Ok((desired, options)) => {
                self.sources.take_file(desired, options);
                self.send(cause).await
            }
            Err(why) => self.events.send(Event::Configuration { cause, result: Err(why) }).await,
        }
    }

    /// Has the daemon stop.
    async fn stop(&mut self) -> Sent {
        self.sources.stop().await;
        self.events.send(Event::Stop).await
    }

    /// Sends all sources together on, after the way to their backends.
    async fn send(&self, cause: &'static str) -> Sent {
        let configuration = self.sources.configuration();
        let mut result = Ok(());
        if let Some(routes) = &self.routes {
            match routes.reach(&configuration.desired, &self.status).await {
                Ok(reach) => self.events.send(Event::Reach(reach)).await?,
                Err(error) => result = Err(format!("routes cannot be read: {error:#}")),
            }
        }
        let result = result.map(|()| configuration);
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

    /// Waits until the daemon is told to stop.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Turns signals and changes of the sources into events until the daemon stops.
    pub(super) async fn handle(
        &mut self,
        mut source: Source,
        mut changes: mpsc::Receiver<FileEvent>,
        mut outputs: mpsc::Receiver<Output>,
    ) {
        loop {
            let sent = tokio::select! {
                _ = self.hangup.recv() => source.reload("SIGHUP").await,
                _ = self.interrupt.recv() => source.stop().await,
                _ = self.terminate.recv() => source.stop().await,
                Some(output) = outputs.recv() => {
                    source.sources.take_output(output);
                    source.send("clusters").await
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_of_a_file_that_nodes_share_is_that_of_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lb.yaml");
        std::fs::write(&path, "kubernetes: {clusters: [{name: a}], node: shared}\n").unwrap();
        let node_of = |node: Option<&str>| {
            let file = File { path: path.clone(), node: node.map(str::to_owned) };
            let (_, options) = read(&file).0.unwrap();
            options.unwrap().node
        };
        assert_eq!(node_of(None).as_deref(), Some("shared"));
        assert_eq!(node_of(Some("one")).as_deref(), Some("one"));
    }
}
