//! Writing and reading objects by hand.
//!
//! A kind is named alone (`HTTPRoute`) or with its version
//! (`gateway.networking.k8s.io/v1/HTTPRoute`), an object as `NAMESPACE/NAME`, or as `NAME` where
//! it is in no namespace or in `default`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::discovery::{Discovery, Scope, verbs};
use serde_json::{Value, json};

use super::hand::{DEFAULT_NAMESPACE, Reach};
use super::server::ApiServer;
use crate::wait::eventually;

/// Who applies what [`ApiServer::apply`] applies.
const MANAGER: &str = "lb-tests";
/// How many objects [`ApiServer::apply_many`] applies at once.
const APPLIED_AT_ONCE: usize = 16;
/// How long [`ApiServer::eventually`] waits: long enough for a busy machine.
const WAIT_LIMIT: Duration = Duration::from_mins(2);

impl ApiServer {
    /// Applies each document of a YAML text by server-side apply, in their order, and returns
    /// the objects as they are then.
    pub fn apply(&self, yaml: &str) -> Result<Vec<Value>> {
        let documents = documents(yaml)?;
        self.hand.call(|reach| async move {
            let mut applied = Vec::new();
            for document in documents {
                applied.push(apply(&reach, document).await?);
            }
            Ok(applied)
        })
    }

    /// Applies many objects, several at a time, in no particular order.
    pub fn apply_many(&self, objects: Vec<Value>) -> Result<()> {
        self.hand.call(|reach| async move {
            let applying = objects.into_iter().map(|object| {
                let reach = reach.clone();
                async move { apply(&reach, object).await.map(drop) }
            });
            stream::iter(applying).buffer_unordered(APPLIED_AT_ONCE).try_collect().await
        })
    }

    /// Creates many objects or replaces those that are there, several at a time.
    pub fn put_many(&self, objects: Vec<Value>) -> Result<()> {
        self.hand.call(|reach| async move {
            let putting = objects.into_iter().map(|object| put(reach.clone(), object));
            stream::iter(putting).buffer_unordered(APPLIED_AT_ONCE).try_collect().await
        })
    }

    /// Creates many objects, several at a time. Errors: one of them is there already.
    pub fn create_many(&self, objects: Vec<Value>) -> Result<()> {
        self.hand.call(|reach| async move {
            let creating = objects.into_iter().map(|object| {
                let reach = reach.clone();
                async move {
                    let (api, object) = place(&reach, object).await?;
                    api.create(&PostParams::default(), &object).await?;
                    Ok(())
                }
            });
            stream::iter(creating).buffer_unordered(APPLIED_AT_ONCE).try_collect().await
        })
    }

    /// Creates an object. Errors: it is there already.
    pub fn create(&self, object: Value) -> Result<Value> {
        self.hand.call(|reach| async move {
            let (api, object) = place(&reach, object).await?;
            value(&api.create(&PostParams::default(), &object).await?)
        })
    }

    /// Replaces an object by one that was read and changed. Errors: somebody else changed it.
    pub fn replace(&self, object: Value) -> Result<Value> {
        self.hand.call(|reach| async move {
            let (api, object) = place(&reach, object).await?;
            let name = object.metadata.name.clone().context("an object without a name")?;
            value(&api.replace(&name, &PostParams::default(), &object).await?)
        })
    }

    /// The object, if there is one.
    pub fn get(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        self.named(kind, name, |api, name| async move {
            api.get_opt(&name).await?.as_ref().map(value).transpose()
        })
    }

    /// All objects of a kind, in all namespaces.
    pub fn list(&self, kind: &str) -> Result<Vec<Value>> {
        let kind = kind.to_owned();
        self.hand.call(|reach| async move {
            let (resource, _) = reach.resource(&kind).await?;
            let api: Api<DynamicObject> = Api::all_with(reach.client(), &resource);
            api.list(&ListParams::default()).await?.items.iter().map(value).collect()
        })
    }

    /// Merges a document into an object (RFC 7386).
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<Value> {
        let patch = Patch::Merge(patch.clone());
        self.named(kind, name, |api, name| async move {
            value(&api.patch(&name, &PatchParams::default(), &patch).await?)
        })
    }

    /// Merges a document, `{"status": {...}}`, into an object's status.
    pub fn patch_status(&self, kind: &str, name: &str, patch: &Value) -> Result<Value> {
        let patch = Patch::Merge(patch.clone());
        self.named(kind, name, |api, name| async move {
            value(&api.patch_status(&name, &PatchParams::default(), &patch).await?)
        })
    }

    /// Deletes an object; one that is not there is no error. A namespace takes all that is in it
    /// along, at once.
    pub fn delete(&self, kind: &str, name: &str) -> Result<()> {
        if kind == "Namespace" && self.is_real() {
            // No controller runs that would do it.
            let name = name.to_owned();
            return self.hand.call(|reach| async move { delete_namespace(&reach, &name).await });
        }
        self.named(kind, name, |api, name| async move {
            match api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Waits until an object is as `is_so` wants it, and returns it. Errors: it does not become
    /// so; shows what it is instead.
    pub fn eventually(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = None;
        let found = eventually(WAIT_LIMIT, what, || {
            last = self.get(kind, name).ok().flatten();
            last.as_ref().is_some_and(&is_so).then_some(())
        });
        found.with_context(|| format!("{kind} {name} is {last:#?}"))?;
        last.context("an object that was there")
    }

    /// The minor version that the server says it has, such as 20 of 1.20.2.
    pub(super) fn minor_version(&self) -> Result<u32> {
        let version = self.hand.call(|reach| async move {
            reach.client().apiserver_version().await.context("ask for the version")
        })?;
        // Some say `20+`.
        let minor = version.minor.trim_end_matches('+').parse();
        minor.with_context(|| format!("a server of version {}", version.git_version))
    }

    fn named<T, F>(
        &self,
        kind: &str,
        name: &str,
        call: impl FnOnce(Api<DynamicObject>, String) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.hand.call(|reach| async move {
            let (namespace, own) = name.split_once('/').unwrap_or((DEFAULT_NAMESPACE, &name));
            let api = reach.api(&kind, namespace).await?;
            call(api, own.to_owned()).await.with_context(|| format!("{kind} {name}"))
        })
    }
}

/// The documents of a YAML text, those of a `List` one by one.
pub(super) fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("read YAML")?;
    let mut objects = Vec::new();
    for document in documents {
        match document {
            Value::Null => {}
            Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                match list.remove("items") {
                    Some(Value::Array(items)) => objects.extend(items),
                    _ => bail!("a List without items"),
                }
            }
            object => objects.push(object),
        }
    }
    Ok(objects)
}

async fn apply(reach: &Reach, object: Value) -> Result<Value> {
    let (api, object) = place(reach, object).await?;
    let name = object.metadata.name.clone().context("an object without a name")?;
    let parameters = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&name, &parameters, &Patch::Apply(&object)).await;
    value(&applied.with_context(|| format!("apply {name}"))?)
}

async fn put(reach: Reach, object: Value) -> Result<()> {
    let (api, mut object) = place(&reach, object).await?;
    let name = object.metadata.name.clone().context("an object without a name")?;
    let options = PostParams::default();
    if let Some(live) = api.get_opt(&name).await? {
        object.metadata.resource_version = live.metadata.resource_version;
        api.replace(&name, &options, &object).await.with_context(|| format!("replace {name}"))?;
    } else {
        api.create(&options, &object).await.with_context(|| format!("create {name}"))?;
    }
    Ok(())
}

/// Deletes a namespace and all that is in it, as a controller would.
async fn delete_namespace(reach: &Reach, name: &str) -> Result<()> {
    let (resource, _) = reach.resource("v1/Namespace").await?;
    let namespaces: Api<DynamicObject> = Api::all_with(reach.client(), &resource);
    if namespaces.get_opt(name).await?.is_none() {
        return Ok(());
    }
    namespaces.delete(name, &DeleteParams::default()).await?;
    let discovery = Discovery::new(reach.client()).run().await?;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::DELETE_COLLECTION)
            {
                let api: Api<DynamicObject> = Api::namespaced_with(reach.client(), name, &resource);
                let (all, options) = (ListParams::default(), DeleteParams::default());
                api.delete_collection(&options, &all).await.with_context(|| resource.kind)?;
            }
        }
    }
    let Some(mut object) = namespaces.get_opt(name).await? else { return Ok(()) };
    object.data["spec"] = json!({ "finalizers": [] });
    namespaces.replace_subresource("finalize", name, &PostParams::default(), &object).await?;
    Ok(())
}

/// Where an object belongs, and the object with its namespace.
async fn place(reach: &Reach, object: Value) -> Result<(Api<DynamicObject>, DynamicObject)> {
    let mut object: DynamicObject = serde_json::from_value(object).context("no object")?;
    let types = object.types.as_ref().context("an object without apiVersion and kind")?;
    let kind = format!("{}/{}", types.api_version, types.kind);
    let (_, scope) = reach.resource(&kind).await?;
    if scope == Scope::Namespaced {
        object.metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    Ok((reach.api(&kind, namespace).await?, object))
}

fn value(object: &DynamicObject) -> Result<Value> {
    serde_json::to_value(object).context("an object as JSON")
}
