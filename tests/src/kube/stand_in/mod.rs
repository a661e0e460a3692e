//! A stand-in for an API server, in the process of the test: enough of the Kubernetes API for an
//! agent and its tests, in memory, and with faults on request.
//!
//! What it keeps to: versions of resources and conflicts, generations, status by itself, no-op
//! writes that nobody hears of, finalizers, pages of lists, selectors, watches with bookmarks,
//! streaming lists and 410, server-side apply with its memory of who applied what, namespaces
//! that take their objects along, custom resource definitions, roles and their bindings. What it leaves out: schemas (and
//! their defaults), admission, conflicts of field managers, garbage collection.

mod defaults;
mod failure;
mod faults;
mod http;
mod kinds;
mod patch;
mod rbac;
mod selector;
mod store;
mod target;
mod watch;
mod write;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

pub use faults::{Faults, Write};

use faults::Shared;
use http::{Caller, serve};
use store::Store;

use super::relay::Relay;

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// A running stand-in; ends when dropped.
#[derive(Debug)]
pub(super) struct StandIn {
    shared: Arc<Shared>,
    client_address: SocketAddr,
    hand_address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl StandIn {
    /// Listens on free ports of the loopback interface.
    pub(super) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::new(with_namespaces()?));
        let (clients, client_address) = Relay::listen()?;
        let (hands, hand_address) = Relay::listen()?;
        let (stop, is_stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // A thread of its own: the tests' runtimes may stop, block or pause their time.
        let thread = thread::Builder::new().name("api-server".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = serve(clients, Arc::clone(&serving), Caller::Client) => result,
                    result = serve(hands, serving, Caller::Hand) => result,
                    // Also when the other end is dropped.
                    _ = is_stopped => Ok(()),
                }
            })
        })?;
        Ok(Self { shared, client_address, hand_address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients find it.
    pub(super) fn address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where the test's own hand finds it: never at fault, never counted.
    pub(super) fn hand_address(&self) -> SocketAddr {
        self.hand_address
    }

    pub(super) fn faults(&self) -> Faults {
        Faults { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic in it has been printed.
            thread.join().ok();
        }
    }
}

fn with_namespaces() -> Result<Store> {
    let mut store = Store::new();
    let kind = store.kinds.find("", "v1", "namespaces").context("a kind of its own")?.clone();
    for name in NAMESPACES {
        let created = store.create(&kind, "", json!({ "metadata": { "name": name } }));
        created.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    }
    Ok(store)
}
