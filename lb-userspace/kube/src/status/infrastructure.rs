//! Objects that stand for Gateways, made in their clusters.

use crate::{Infrastructure, InfrastructureChange, ObjectKey, PREFIX};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Service};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, time::Duration};
use tokio::time::Instant;

/// A change that was tried is not tried again before this: it may be on its way back by the watch.
const AGAIN: Duration = Duration::from_secs(30);

/// What was tried lately.
#[derive(Debug, Default)]
pub(super) struct Tried {
    tried: Vec<(InfrastructureChange, Instant)>,
}

impl Tried {
    /// What to try of what is to be changed, at most `room`.
    pub(super) fn next<'a>(
        &mut self,
        now: Instant,
        changes: impl Iterator<Item = &'a InfrastructureChange>,
        room: usize,
    ) -> Vec<InfrastructureChange> {
        let changes: Vec<_> = changes.collect();
        self.tried.retain(|(tried, at)| {
            now.saturating_duration_since(*at) < AGAIN && changes.contains(&tried)
        });
        let is_new = |it: &&InfrastructureChange| !self.tried.iter().any(|(tried, _)| tried == *it);
        let next: Vec<_> = changes.into_iter().filter(is_new).take(room).cloned().collect();
        self.tried.extend(next.iter().map(|it| (it.clone(), now)));
        next
    }

    /// When one is to be tried again, unless it has come to pass.
    pub(super) fn due(&self) -> Option<Instant> {
        self.tried.iter().filter_map(|(_, at)| at.checked_add(AGAIN)).min()
    }
}

/// Makes a change.
pub(super) async fn make(client: Client, change: Infrastructure) -> Result<(), kube::Error> {
    match change {
        Infrastructure::Service(service) => apply(client, &*service).await,
        Infrastructure::Slice(slice) => apply(client, &*slice).await,
        Infrastructure::NoService(key) => remove::<Service>(client, &key).await,
        Infrastructure::NoSlice(key) => remove::<EndpointSlice>(client, &key).await,
    }
}

async fn apply<T>(client: Client, object: &T) -> Result<(), kube::Error>
where
    T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<T> = Api::namespaced(client, &object.namespace().unwrap_or_default());
    let as_us = PatchParams::apply(PREFIX).force();
    api.patch(&object.name_any(), &as_us, &Patch::Apply(object)).await.map(drop)
}

async fn remove<T>(client: Client, key: &ObjectKey) -> Result<(), kube::Error>
where
    T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api: Api<T> = Api::namespaced(client, &key.namespace);
    match api.delete(&key.name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(name: &str) -> InfrastructureChange {
        let change = Infrastructure::NoService(ObjectKey::new("a", name));
        InfrastructureChange { cluster: "one".to_owned(), change }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_tried_again_only_after_a_while() {
        let mut tried = Tried::default();
        let changes = [removal("a"), removal("b"), removal("c")];
        assert_eq!(tried.next(Instant::now(), changes.iter(), 2), changes[..2]);
        assert_eq!(tried.next(Instant::now(), changes.iter(), 2), changes[2..]);
        assert!(tried.next(Instant::now(), changes.iter(), 2).is_empty());
        tokio::time::sleep_until(tried.due().unwrap()).await;
        assert_eq!(tried.next(Instant::now(), changes.iter(), 9), changes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_was_made_and_undone_is_tried_at_once() {
        let mut tried = Tried::default();
        let changes = [removal("a")];
        assert_eq!(tried.next(Instant::now(), changes.iter(), 1), changes);
        assert!(tried.next(Instant::now(), [].iter(), 1).is_empty());
        assert_eq!(tried.due(), None);
        assert_eq!(tried.next(Instant::now(), changes.iter(), 1), changes);
    }
}
