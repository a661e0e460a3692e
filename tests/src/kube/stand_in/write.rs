//! What changes objects: create, replace, patch and delete, with the server's own fields.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::defaults;
use super::failure::Failure;
use super::kinds::Kind;
use super::patch::{Patch, as_object};
use super::selector::Selector;
use super::store::{Key, Store, is_definition};

/// The fields of metadata that only the server sets.
const OWN_METADATA: [&str; 6] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "name",
    "uid",
];

/// Which part of an object a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All but its status, where that is a part of its own
    Main,
    Status,
}

/// What a write left behind.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) object: Value,
    pub(super) is_new: bool,
}

impl Store {
    pub(super) fn create(
        &mut self,
        kind: &Kind,
        namespace: &str,
        mut object: Value,
    ) -> Result<Written, Failure> {
        if kind.group == "authorization.k8s.io" {
            // A question, not an object.
            as_object(&mut object).insert("status".to_owned(), json!({ "allowed": true }));
            return Ok(Written { object, is_new: true });
        }
        check_type(kind, &object)?;
        let name = name_of(&object)?;
        let metadata = as_object(as_object(&mut object).entry("metadata").or_insert(Value::Null));
        if metadata.get("resourceVersion").is_some_and(|version| version != "") {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad_request(why));
        }
        if kind.is_namespaced {
            let said = metadata.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
            if said != namespace {
                let why = "the namespace of the provided object does not match the namespace sent \
                           on the request";
                return Err(Failure::bad_request(why));
            }
            metadata.insert("namespace".to_owned(), json!(namespace));
            if !self.has_namespace(namespace) {
                return Err(Failure::not_found("namespaces", namespace));
            }
        }
        let key = (namespace.to_owned(), name);
        if self.object(kind, &key).is_some() {
            return Err(Failure::already_exists(&kind.plural, &key.1));
        }
        for field in OWN_METADATA {
            metadata.remove(field);
        }
        metadata.insert("name".to_owned(), json!(key.1));
        metadata.insert("uid".to_owned(), json!(uid()));
        metadata.insert("creationTimestamp".to_owned(), json!(now()));
        if kind.has_generation {
            metadata.insert("generation".to_owned(), json!(1));
        }
        if kind.has_status {
            as_object(&mut object).remove("status");
        }
        self.finish(kind, &mut object);
        let object = self.put(kind, key, object)?;
        Ok(Written { object: Value::clone(&object), is_new: true })
    }

    pub(super) fn replace(
        &mut self,
        kind: &Kind,
        key: &Key,
        part: Part,
        object: Value,
    ) -> Result<Written, Failure> {
        check_type(kind, &object)?;
        let live = self.live(kind, key)?;
        let version = &object["metadata"]["resourceVersion"];
        let is_unconditional = version.is_null() || version == "";
        if is_unconditional && (kind.is_custom || kind.kind == "Lease") {
            let why = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an \
                       update";
            return Err(Failure::invalid(why));
        }
        if !is_unconditional && *version != live["metadata"]["resourceVersion"] {
            let why = "the object has been modified; please apply your changes to the latest \
                       version and try again";
            return Err(Failure::conflict(&kind.plural, &key.1, why));
        }
        let uid = &object["metadata"]["uid"];
        if !uid.is_null() && *uid != live["metadata"]["uid"] {
            return Err(Failure::conflict(&kind.plural, &key.1, "Precondition failed: UID"));
        }
        self.update(kind, key, part, &live, object)
    }

    pub(super) fn patch(
        &mut self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        part: Part,
        patch: &Patch,
    ) -> Result<Written, Failure> {
        if kind.is_custom && matches!(patch, Patch::Strategic(_)) {
            return Err(Failure::unsupported("application/strategic-merge-patch+json"));
        }
        let key = (namespace.to_owned(), name.to_owned());
        let is_status = part == Part::Status;
        let mut last = None;
        if let Patch::Apply { document, manager } = patch {
            check_type(kind, document)?;
            if !is_status && self.object(kind, &key).is_none() {
                let mut object = document.clone();
                let fields = as_object(&mut object);
                as_object(fields.entry("metadata").or_insert(Value::Null))
                    .insert("name".to_owned(), json!(name));
                let written = self.create(kind, namespace, object)?;
                self.remember_applied(kind, &key, manager, is_status, document.clone());
                return Ok(written);
            }
            last = self.last_applied(kind, &key, manager, is_status).cloned();
        }
        let live = self.live(kind, &key)?;
        let object = patch.apply(&live, last.as_ref())?;
        let written = self.replace(kind, &key, part, object)?;
        if let Patch::Apply { document, manager } = patch
            && self.object(kind, &key).is_some()
        {
            self.remember_applied(kind, &key, manager, is_status, document.clone());
        }
        Ok(written)
    }

    /// Deletes an object; what has finalizers is marked only, and goes with the last of them.
    /// A namespace goes at once, with all that is in it.
    pub(super) fn delete(
        &mut self,
        kind: &Kind,
        key: &Key,
        options: &Value,
    ) -> Result<Written, Failure> {
        let live = self.live(kind, key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if !wanted.is_null() && *wanted != live["metadata"][field] {
                let why = format!("Precondition failed: {field}");
                return Err(Failure::conflict(&kind.plural, &key.1, &why));
            }
        }
        if has_finalizers(&live) {
            let mut object = live;
            if object["metadata"]["deletionTimestamp"].is_null() {
                let metadata = as_object(&mut object["metadata"]);
                metadata.insert("deletionTimestamp".to_owned(), json!(now()));
                metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
                object = Value::clone(&*self.put(kind, key.clone(), object)?);
            }
            return Ok(Written { object, is_new: false });
        }
        if kind.kind == "Namespace" && kind.group.is_empty() {
            for kind in self.kinds.once_each().iter().filter(|kind| kind.is_namespaced) {
                self.delete_all(kind, Some(&key.1), &Selector::default())?;
            }
        }
        self.take(kind, key);
        Ok(Written { object: live, is_new: false })
    }

    /// Deletes all that is selected, and returns how many objects that were.
    pub(super) fn delete_all(
        &mut self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Result<usize, Failure> {
        let selected = self.objects(kind, namespace).filter(|(_, object)| selector.selects(object));
        let keys: Vec<Key> = selected.map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.delete(kind, key, &Value::Null)?;
        }
        Ok(keys.len())
    }

    fn live(&self, kind: &Kind, key: &Key) -> Result<Value, Failure> {
        let mut live = self.object(kind, key).map(|object| Value::clone(object));
        if let Some(object) = &mut live {
            // It may have been written at another version of its kind.
            as_object(object).insert("apiVersion".to_owned(), json!(kind.api_version()));
        }
        live.ok_or_else(|| Failure::not_found(&kind.plural, &key.1))
    }

    fn update(
        &mut self,
        kind: &Kind,
        key: &Key,
        part: Part,
        live: &Value,
        said: Value,
    ) -> Result<Written, Failure> {
        let mut object = match part {
            Part::Status => with(live.clone(), "status", &said["status"]),
            Part::Main if kind.has_status => with(said, "status", &live["status"]),
            Part::Main => said,
        };
        let metadata = as_object(as_object(&mut object).entry("metadata").or_insert(Value::Null));
        let own = OWN_METADATA.into_iter().chain(["namespace", "resourceVersion"]);
        for field in own {
            match live["metadata"].get(field) {
                Some(value) => metadata.insert(field.to_owned(), value.clone()),
                None => metadata.remove(field),
            };
        }
        self.finish(kind, &mut object);
        if kind.has_generation && substance(&object) != substance(live) {
            let generation = live["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            as_object(&mut object["metadata"]).insert("generation".to_owned(), json!(generation));
        }
        if object == *live {
            // Nobody is told of what is as it was.
            return Ok(Written { object, is_new: false });
        }
        let is_over = !live["metadata"]["deletionTimestamp"].is_null() && !has_finalizers(&object);
        if is_over {
            self.take(kind, key);
        } else {
            object = Value::clone(&*self.put(kind, key.clone(), object)?);
        }
        Ok(Written { object, is_new: false })
    }

    /// Fills in what the server says of every object of the kind.
    fn finish(&self, kind: &Kind, object: &mut Value) {
        let fields = as_object(object);
        fields.insert("apiVersion".to_owned(), json!(kind.api_version()));
        fields.insert("kind".to_owned(), json!(kind.kind));
        if is_definition(kind) {
            defaults::establish(object);
        } else {
            defaults::fill(kind, object, self.revision());
        }
        let metadata = as_object(&mut object["metadata"]);
        for field in ["annotations", "finalizers", "labels"] {
            let is_empty = metadata.get(field).is_some_and(|value| match value {
                Value::Null => true,
                Value::Object(fields) => fields.is_empty(),
                Value::Array(elements) => elements.is_empty(),
                _ => false,
            });
            if is_empty {
                metadata.remove(field);
            }
        }
        metadata.remove("managedFields");
    }
}

fn check_type(kind: &Kind, object: &Value) -> Result<(), Failure> {
    let is_of = object["kind"].is_null() || object["kind"] == kind.kind.as_str();
    let at = object["apiVersion"].is_null() || object["apiVersion"] == kind.api_version().as_str();
    if !object.is_object() || !is_of || !at {
        let why = format!("the body is no {} of {}", kind.kind, kind.api_version());
        return Err(Failure::bad_request(why));
    }
    Ok(())
}

/// The name of a new object, made up where only its beginning is given.
fn name_of(object: &Value) -> Result<String, Failure> {
    let metadata = &object["metadata"];
    match (metadata["name"].as_str(), metadata["generateName"].as_str()) {
        (Some(name), _) if !name.is_empty() => Ok(name.to_owned()),
        (_, Some(prefix)) if !prefix.is_empty() => {
            let suffix: String = (0..5).map(|_| fastrand::lowercase()).collect();
            Ok(format!("{prefix}{suffix}"))
        }
        _ => Err(Failure::invalid("name or generateName is required")),
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// All but what does not count as a change of the object's specification.
fn substance(object: &Value) -> Map<String, Value> {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    for field in ["apiVersion", "metadata", "status"] {
        fields.remove(field);
    }
    fields
}

fn with(mut object: Value, field: &str, value: &Value) -> Value {
    let fields = as_object(&mut object);
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value.clone());
    }
    object
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn uid() -> String {
    let random = fastrand::u128(..);
    let part = |shift: u32, digits: usize| {
        format!("{:0digits$x}", (random >> shift) & ((1_u128 << (4 * digits)) - 1))
    };
    // Version 4, variant 1: RFC 9562, section 5.4.
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(32, 4), part(48, 3), part(60, 3), part(72, 12))
}
