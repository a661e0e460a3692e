//! What the agent writes: statuses, its Lease, Events.

use super::{answer::named, faults::happens, server::State};
use hyper::Method;
use serde_json::{Value, json};

/// The answer to a write, or to a read of one object; `None` = it is neither.
pub(crate) fn answer(
    state: &mut State,
    method: &Method,
    path: &[String],
    body: &Value,
) -> Option<(u16, Value)> {
    if path.iter().any(|it| it == "leases") {
        return Some(lease(state, method, body));
    }
    if path.iter().any(|it| it == "events") {
        return Some((201, body.clone()));
    }
    let key = path.join("/");
    let is_status = path.last()? == "status";
    let path = if is_status { &path[..path.len() - 1] } else { path };
    let id = named(path)?;
    let Some(stored) = state.objects.get(&id).cloned() else { return Some((404, failure(404))) };
    if *method == Method::GET {
        return Some((200, stored.value));
    }
    if *method != Method::PATCH || !is_status {
        return Some((405, failure(405)));
    }
    let version = &stored.value["metadata"]["resourceVersion"];
    let base = &body["metadata"]["resourceVersion"];
    let share = state.faults.conflicting;
    if !base.is_null() && base != version || happens(share, state.luck(&key)) {
        return Some((409, failure(409)));
    }
    let mut value = stored.value.clone();
    merge(&mut value["status"], &body["status"]);
    if value["status"] != stored.value["status"] {
        state.store(id, value, stored.version, true);
        state.status_writes += 1;
    }
    Some((200, state.objects[&id].value.clone()))
}

fn lease(state: &mut State, method: &Method, body: &Value) -> (u16, Value) {
    if *method == Method::GET {
        return state.lease.clone().map_or_else(|| (404, failure(404)), |it| (200, it));
    }
    let version = |it: &Value| it["metadata"]["resourceVersion"].clone();
    let share = state.faults.conflicting;
    let is_other = match &state.lease {
        Some(lease) => *method == Method::POST || version(lease) != version(body),
        None => *method != Method::POST,
    };
    if is_other || happens(share, state.luck("leases")) {
        return (409, failure(409));
    }
    state.revision += 1;
    let mut lease = body.clone();
    lease["metadata"]["resourceVersion"] = json!(state.revision.to_string());
    state.lease = Some(lease.clone());
    (200, lease)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|it| it.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

fn failure(code: u16) -> Value {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "MethodNotAllowed",
    };
    json!({ "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code })
}
