//! Changes of what a cluster has, made where they were read, acted on by who owns the objects.

use super::source::Scope;
use crate::{ObjectKey, Objects, Store, lower::asks_the_same};
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// What the agent needs of a type of objects.
pub(crate) trait Object: Resource + DeserializeOwned + Send + Sync + 'static {}

impl<T: Resource + DeserializeOwned + Send + Sync + 'static> Object for T {}

/// Where objects of a type are.
pub(super) type Place<T> = fn(&mut Objects) -> &mut Store<T>;

/// A change of what a cluster has.
pub(crate) trait Change: Send {
    /// Acts on it. Tells whether lowering may come to another result.
    fn apply(self: Box<Self>, objects: &mut Objects) -> bool;
}

/// A read object, or what is wrong with it: others must not suffer for one that cannot be read.
pub(super) struct Read<T> {
    pub(super) key: ObjectKey,
    pub(super) object: Result<Arc<T>, String>,
}

impl<T: Object> Read<T> {
    pub(super) fn of(mut value: Value) -> Self {
        trim(&mut value);
        let text = |name: &str| {
            let found = value.pointer(name).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let key = ObjectKey::new(text("/metadata/namespace"), text("/metadata/name"));
        let object = serde_json::from_value(value).map(Arc::new).map_err(|it| it.to_string());
        Self { key, object }
    }
}

impl<'de, T: Object> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

/// Drops what nobody looks at and what is often larger than the rest.
fn trim(value: &mut Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("managedFields");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// A whole list takes the place of what was known.
pub(super) struct Relist<T> {
    pub(super) place: Place<T>,
    pub(super) scope: Scope,
    pub(super) objects: Vec<Read<T>>,
}

impl<T: Object> Change for Relist<T> {
    fn apply(self: Box<Self>, objects: &mut Objects) -> bool {
        let store = (self.place)(objects);
        let before = store.clone();
        let others = before.iter().filter(|(key, _)| !self.scope.has(key));
        let others = others.map(|(key, object)| (key.clone(), Arc::clone(object)));
        let listed = self.objects.into_iter().filter_map(|Read { key, object }| {
            let known = before.get(&key);
            let object = match (object, known) {
                // What is as it was is the same.
                (Ok(object), Some(known)) if is_version_of(&*object, &**known) => Arc::clone(known),
                (Ok(object), _) => object,
                // The last good one is kept.
                (Err(_), known) => Arc::clone(known?),
            };
            Some((key, object))
        });
        *store = others.chain(listed).collect();
        true
    }
}

/// Whether both are one version of one object.
fn is_version_of(one: &impl Resource, other: &impl Resource) -> bool {
    let (one, other) = (one.meta(), other.meta());
    let has_version = one.resource_version.as_ref().is_some_and(|it| !it.is_empty());
    has_version && one.uid == other.uid && one.resource_version == other.resource_version
}

/// An object is there, or is another than before.
pub(super) struct Put<T> {
    pub(super) place: Place<T>,
    pub(super) key: ObjectKey,
    pub(super) object: Arc<T>,
    pub(super) ignores_status: bool,
}

impl<T: Object> Change for Put<T> {
    fn apply(self: Box<Self>, objects: &mut Objects) -> bool {
        let object = Arc::clone(&self.object);
        let before = (self.place)(objects).insert(self.key, self.object);
        let is_told_only =
            self.ignores_status && before.is_some_and(|before| asks_the_same(&*before, &*object));
        !is_told_only
    }
}

/// An object is gone.
pub(super) struct Remove<T> {
    pub(super) place: Place<T>,
    pub(super) key: ObjectKey,
}

impl<T: Object> Change for Remove<T> {
    fn apply(self: Box<Self>, objects: &mut Objects) -> bool {
        (self.place)(objects).remove(&self.key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::HTTPRoute;
    use serde_json::json;

    const PLACE: Place<HTTPRoute> = |objects| &mut objects.http_routes;

    fn route(namespace: &str, name: &str, generation: i64, host: &Value) -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {
                "namespace": namespace, "name": name, "generation": generation,
                "managedFields": [{ "manager": "test" }],
            },
            "spec": { "hostnames": [host] },
        })
    }

    fn relist(scope: Scope, objects: &[Value]) -> Box<dyn Change> {
        let objects = objects.iter().cloned().map(Read::of).collect();
        Box::new(Relist { place: PLACE, scope, objects })
    }

    fn put(value: Value) -> Box<dyn Change> {
        let Read { key, object } = Read::of(value);
        Box::new(Put { place: PLACE, key, object: object.unwrap(), ignores_status: true })
    }

    fn names(objects: &Objects) -> Vec<String> {
        objects.http_routes.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_takes_the_place_of_what_its_scope_had() {
        let mut objects = Objects::default();
        let (one, two) = (route("a", "x", 1, &json!("h")), route("b", "y", 1, &json!("h")));
        relist(Scope::All, &[one, two]).apply(&mut objects);
        assert_eq!(names(&objects), ["a/x", "b/y"]);
        let other = route("a", "z", 1, &json!("h"));
        relist(Scope::Namespace("a".to_owned()), &[other]).apply(&mut objects);
        assert_eq!(names(&objects), ["a/z", "b/y"]);
        relist(Scope::All, &[]).apply(&mut objects);
        assert!(objects.http_routes.is_empty());
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_last_good_self_and_hurts_no_other() {
        let mut objects = Objects::default();
        relist(Scope::All, &[route("a", "x", 1, &json!("h"))]).apply(&mut objects);
        let bad = route("a", "x", 2, &json!({ "no": "text" }));
        let (new, good) = (route("a", "n", 1, &json!(1)), route("a", "y", 1, &json!("h")));
        relist(Scope::All, &[bad, new, good]).apply(&mut objects);
        assert_eq!(names(&objects), ["a/x", "a/y"]);
        let kept = &objects.http_routes[&ObjectKey::new("a", "x")];
        assert_eq!(kept.metadata.generation, Some(1));
    }

    #[test]
    fn a_status_alone_asks_for_nothing() {
        let mut objects = Objects::default();
        assert!(put(route("a", "x", 1, &json!("h"))).apply(&mut objects));
        let mut told = route("a", "x", 1, &json!("h"));
        told["status"] = json!({ "parents": [] });
        assert!(!put(told).apply(&mut objects));
        assert!(objects.http_routes.values().all(|it| it.status.is_some()), "but it is known");
        assert!(put(route("a", "x", 2, &json!("i"))).apply(&mut objects));
        let mut labelled = route("a", "x", 2, &json!("i"));
        labelled["metadata"]["labels"] = json!({ "a": "b" });
        assert!(put(labelled).apply(&mut objects));
    }

    #[test]
    fn what_nobody_looks_at_is_not_kept() {
        let mut objects = Objects::default();
        put(route("a", "x", 1, &json!("h"))).apply(&mut objects);
        assert!(objects.http_routes.values().all(|it| it.metadata.managed_fields.is_none()));
    }
}
