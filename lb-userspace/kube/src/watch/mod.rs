//! Watches one cluster: keeps the way to its API server, finds out what it has, and runs a
//! reflector for each kind.

mod backoff;
mod change;
mod client;
mod discover;
mod kind;
mod reflect;
mod report;
mod request;
mod source;
mod supervise;

pub(crate) use change::Change;
pub use client::Connector;
pub use discover::Versions;
pub(crate) use kind::{KINDS, Kind};
pub(crate) use report::{Report, Reports};
pub(crate) use source::Source;

use crate::{ClusterOptions, needs::Needs};
use kube::Client;
use std::fmt;
use supervise::Supervisor;
use tokio::{sync::watch, task::JoinHandle};

/// The watch of one cluster; ends when dropped.
pub(crate) struct ClusterWatch {
    needs: watch::Sender<Needs>,
    clients: watch::Receiver<Option<Client>>,
    versions: watch::Receiver<Versions>,
    task: JoinHandle<()>,
}

impl ClusterWatch {
    /// Begins to watch. Must be called within a tokio runtime.
    pub(crate) fn start(options: ClusterOptions, connector: Connector, reports: Reports) -> Self {
        let (needs, needed) = watch::channel(Needs::default());
        let (found, clients) = watch::channel(None);
        let (told, versions) = watch::channel(Versions::default());
        let supervisor = Supervisor::new(options, connector, needed, (found, told), reports);
        Self { needs, clients, versions, task: tokio::spawn(supervisor.run()) }
    }

    /// Watches exactly these Secrets and ConfigMaps from now on.
    pub(crate) fn need(&self, needs: &Needs) {
        self.needs.send_if_modified(|it| {
            let is_news = it != needs;
            it.clone_from(needs);
            is_news
        });
    }

    /// The way to the API server, once it has answered.
    pub(crate) fn client(&self) -> watch::Receiver<Option<Client>> {
        self.clients.clone()
    }

    /// The versions that the API server has, as far as that is known.
    pub(crate) fn versions(&self) -> watch::Receiver<Versions> {
        self.versions.clone()
    }
}

impl fmt::Debug for ClusterWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterWatch").field("needs", &*self.needs.borrow()).finish_non_exhaustive()
    }
}

impl Drop for ClusterWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
