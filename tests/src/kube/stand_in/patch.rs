//! The kinds of patch: JSON merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge patch
//! and server-side apply.
//!
//! The last two know a few keyed lists by their names, and replace the others as a whole, which
//! is what the schemas of the objects the tests write say.

use serde_json::{Map, Value};

use super::failure::Failure;

/// Deepest document that is patched.
const DEPTH_MAX: usize = 64;

/// A patch, not yet applied.
#[derive(Clone, Debug)]
pub(super) enum Patch {
    Merge(Value),
    Json(json_patch::Patch),
    Strategic(Value),
    /// Server-side apply by a field manager
    Apply {
        document: Value,
        manager: String,
    },
}

impl Patch {
    /// Parses a body by its media type; `manager` is the query's `fieldManager`.
    pub(super) fn parse(
        media_type: &str,
        body: &[u8],
        manager: Option<&str>,
    ) -> Result<Self, Failure> {
        match media_type {
            "application/merge-patch+json" => Ok(Self::Merge(json(body)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(json(body)?)),
            "application/json-patch+json" => {
                let operations = serde_json::from_slice(body);
                Ok(Self::Json(operations.map_err(|e| Failure::bad_request(e.to_string()))?))
            }
            "application/apply-patch+yaml" => {
                let manager = manager.filter(|manager| !manager.is_empty());
                let manager = manager.ok_or_else(|| {
                    Failure::bad_request("fieldManager is required for apply patch")
                })?;
                let document = serde_saphyr::from_slice(body)
                    .map_err(|error| Failure::bad_request(error.to_string()))?;
                Ok(Self::Apply { document, manager: manager.to_owned() })
            }
            other => Err(Failure::unsupported(other)),
        }
    }

    /// The object as it will be; `last` is what the same manager applied before.
    pub(super) fn apply(&self, live: &Value, last: Option<&Value>) -> Result<Value, Failure> {
        let mut result = live.clone();
        match self {
            Self::Merge(patch) => json_patch::merge(&mut result, patch),
            Self::Json(patch) => json_patch::patch(&mut result, patch)
                .map_err(|error| Failure::invalid(error.to_string()))?,
            Self::Strategic(patch) => merge(&mut result, patch, DEPTH_MAX),
            Self::Apply { document, .. } => {
                let last = last.unwrap_or(&Value::Null);
                apply(&mut result, last, document, DEPTH_MAX);
            }
        }
        if result.is_object() { Ok(result) } else { Err(Failure::invalid("not an object")) }
    }
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))
}

/// What tells the elements of a list apart, by the list's name.
fn list_key(name: &str) -> Option<&'static str> {
    match name {
        "conditions" => Some("type"),
        "containers" | "env" | "initContainers" | "listeners" | "volumes" => Some("name"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

/// Strategic merge patch: null removes, keyed lists merge by key.
fn merge(live: &mut Value, patch: &Value, depth: usize) {
    let (Value::Object(fields), Some(depth)) = (patch, depth.checked_sub(1)) else {
        *live = patch.clone();
        return;
    };
    let live = as_object(live);
    for (name, value) in fields {
        if value.is_null() {
            live.remove(name);
        } else if let (Some(key), Value::Array(elements)) = (list_key(name), value) {
            let list = as_array(live.entry(name).or_insert(Value::Null));
            for element in elements {
                match list.iter_mut().find(|known| known[key] == element[key]) {
                    Some(known) => merge(known, element, depth),
                    None => list.push(element.clone()),
                }
            }
        } else {
            merge(live.entry(name).or_insert(Value::Null), value, depth);
        }
    }
}

/// Server-side apply: what `new` has is set, what only `last` had is removed.
fn apply(live: &mut Value, last: &Value, new: &Value, depth: usize) {
    let (Value::Object(fields), Some(depth)) = (new, depth.checked_sub(1)) else {
        *live = new.clone();
        return;
    };
    let live = as_object(live);
    if let Value::Object(before) = last {
        for (name, value) in before.iter().filter(|(name, _)| !fields.contains_key(*name)) {
            remove(live, name, value, depth);
        }
    }
    for (name, value) in fields {
        let place = live.entry(name).or_insert(Value::Null);
        match (list_key(name), value) {
            (Some(key), Value::Array(elements)) => {
                apply_list(as_array(place), key, &last[name.as_str()], elements, depth);
            }
            (_, Value::Array(elements)) if name == "finalizers" => {
                let before = last[name.as_str()].as_array().map(Vec::as_slice).unwrap_or_default();
                let list = as_array(place);
                list.retain(|known| !before.contains(known) || elements.contains(known));
                let added: Vec<&Value> = elements.iter().filter(|e| !list.contains(e)).collect();
                list.extend(added.into_iter().cloned());
            }
            _ => apply(place, &last[name.as_str()], value, depth),
        }
    }
}

fn apply_list(list: &mut Vec<Value>, key: &str, last: &Value, elements: &[Value], depth: usize) {
    let last = last.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_in = |list: &[Value], element: &Value| list.iter().any(|e| e[key] == element[key]);
    list.retain(|known| !is_in(last, known) || is_in(elements, known));
    for element in elements {
        let before = last.iter().find(|known| known[key] == element[key]).unwrap_or(&Value::Null);
        match list.iter_mut().find(|known| known[key] == element[key]) {
            Some(known) => apply(known, before, element, depth),
            None => list.push(element.clone()),
        }
    }
}

/// Removes what a manager applied, and leaves what others put beside it.
fn remove(live: &mut Map<String, Value>, name: &str, applied: &Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let is_empty = match (live.get_mut(name), applied) {
        (Some(Value::Object(inner)), Value::Object(before)) => {
            for (name, value) in before {
                remove(inner, name, value, depth);
            }
            inner.is_empty()
        }
        (Some(Value::Array(list)), Value::Array(before)) if list_key(name).is_some() => {
            let key = list_key(name).unwrap_or_default();
            list.retain(|known| !before.iter().any(|element| element[key] == known[key]));
            list.is_empty()
        }
        _ => true,
    };
    if is_empty {
        live.remove(name);
    }
}

/// The object in this place; whatever else was there is replaced by an empty one.
pub(super) fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("made an object above"),
    }
}

fn as_array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(elements) => elements,
        _ => unreachable!("made an array above"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(live: &Value, last: Option<&Value>, document: &Value) -> Value {
        let patch = Patch::Apply { document: document.clone(), manager: "test".to_owned() };
        patch.apply(live, last).unwrap()
    }

    #[test]
    fn applying_again_removes_what_is_no_longer_said_and_nothing_else() {
        let live = json!({ "spec": { "mine": 1, "old": 2, "theirs": 3, "list": [1, 2] } });
        let last = json!({ "spec": { "mine": 0, "old": 2, "list": [1, 2] } });
        let new = json!({ "spec": { "mine": 1, "list": [3] } });
        let expected = json!({ "spec": { "mine": 1, "theirs": 3, "list": [3] } });
        assert_eq!(applied(&live, Some(&last), &new), expected);
    }

    #[test]
    fn conditions_of_two_managers_live_side_by_side() {
        let live = json!({ "status": { "conditions": [{ "type": "A", "status": "True" }] } });
        let new = json!({ "status": { "conditions": [{ "type": "B", "status": "False" }] } });
        let both = applied(&live, None, &new);
        assert_eq!(both["status"]["conditions"].as_array().unwrap().len(), 2);
        let none = json!({ "status": { "conditions": [] } });
        assert_eq!(applied(&both, Some(&new), &none), live);
    }

    #[test]
    fn a_patch_needs_a_known_form() {
        assert_eq!(Patch::parse("text/plain", b"{}", None).unwrap_err().code, 415);
        assert_eq!(
            Patch::parse("application/apply-patch+yaml", b"a: 1", None).unwrap_err().code,
            400
        );
        let patch = Patch::parse(
            "application/json-patch+json",
            br#"[{ "op": "replace", "path": "/a", "value": 2 }]"#,
            None,
        );
        assert_eq!(patch.unwrap().apply(&json!({ "a": 1 }), None).unwrap(), json!({ "a": 2 }));
    }
}
