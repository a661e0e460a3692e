//! The hand of a test: calls of the Kubernetes API that block, from wherever they are made.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{ApiResource, Discovery, Scope, pinned_kind};
use kube::{Api, Client};
use tokio::runtime::{Builder, Runtime};

use super::server::client;

/// The namespace of what names none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// A client with a runtime of its own.
pub(super) struct Hand {
    /// Always there but while it is dropped.
    runtime: Option<Runtime>,
    reach: Reach,
}

/// What a call needs; cheap to clone into one.
#[derive(Clone)]
pub(super) struct Reach {
    client: Client,
    /// What has been discovered, by the words it was asked for with.
    known: Arc<Mutex<HashMap<String, (ApiResource, Scope)>>>,
}

impl Hand {
    pub(super) fn new(kubeconfig: &str) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("api-hand")
            .enable_all()
            .build()?;
        let kubeconfig = kubeconfig.to_owned();
        let client = wait(&runtime, async move { client(&kubeconfig).await })?;
        Ok(Self { runtime: Some(runtime), reach: Reach { client, known: Arc::default() } })
    }

    /// Does something with the API and waits for it.
    pub(super) fn call<T, F>(&self, call: impl FnOnce(Reach) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().context("the hand is gone")?;
        wait(runtime, call(self.reach.clone()))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // Unlike a plain drop, this is allowed inside of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").finish_non_exhaustive()
    }
}

impl Reach {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The objects of a kind in a namespace, where the kind has any. The kind is named alone
    /// (`HTTPRoute`) or with its version (`gateway.networking.k8s.io/v1/HTTPRoute`).
    pub(super) async fn api(&self, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let (resource, scope) = self.resource(kind).await?;
        Ok(match scope {
            Scope::Namespaced => Api::namespaced_with(self.client(), namespace, &resource),
            Scope::Cluster => Api::all_with(self.client(), &resource),
        })
    }

    /// What the server says of a kind.
    pub(super) async fn resource(&self, kind: &str) -> Result<(ApiResource, Scope)> {
        if let Some(known) = self.known().get(kind) {
            return Ok(known.clone());
        }
        let found = if let Some((api_version, name)) = kind.rsplit_once('/') {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let kind = GroupVersionKind::gvk(group, version, name);
            pinned_kind(&self.client, &kind).await.ok()
        } else {
            let discovery = Discovery::new(self.client()).run().await?;
            let groups = discovery.groups_alphabetical();
            groups.into_iter().find_map(|group| group.recommended_kind(kind))
        };
        let (resource, capabilities) =
            found.with_context(|| format!("the server has no kind {kind}"))?;
        let known = (resource, capabilities.scope);
        self.known().insert(kind.to_owned(), known.clone());
        Ok(known)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (ApiResource, Scope)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits without entering the runtime, which is not allowed inside of another one.
fn wait<T: Send + 'static>(
    runtime: &Runtime,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        // The receiver waits for this and for nothing else.
        sender.send(future.await).ok();
    });
    receiver.recv().context("the call panicked")?
}
