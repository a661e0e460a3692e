//! One status on its way to an API server.

use super::{ledger::fingerprint, merge::merge, patch::difference, said::Said};
use crate::{ObjectId, Status};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// Tries of one write while others change the object at the same time.
const TRIES_MAX: u64 = 5;

/// How long one write may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What an object says before a write.
#[derive(Debug)]
pub(super) enum Base {
    /// This, at this version.
    Known(Said, String),
    /// It is to be read.
    Read,
}

/// What came of a write.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) result: Result<Written, Problem>,
    /// Times that the object had changed.
    pub(super) conflicts: u64,
}

/// An object that says what it should.
#[derive(Debug)]
pub(super) struct Written {
    /// Its version.
    pub(super) version: String,
    /// Fingerprint of what it says.
    pub(super) said: u64,
    /// It was written, it did not say so already.
    pub(super) is_new: bool,
}

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Problem {
    /// There is no such object.
    Gone,
    /// It may not be written: what the API server says.
    Refused(String),
    /// It did not work, for this reason.
    Failed(String),
}

/// Writes `status` to an object.
pub(super) async fn send(
    client: Client,
    resource: &ApiResource,
    id: &ObjectId,
    status: &Status,
    base: Base,
) -> Landing {
    let api: Api<DynamicObject> = if id.key.namespace.is_empty() {
        Api::all_with(client, resource)
    } else {
        Api::namespaced_with(client, &id.key.namespace, resource)
    };
    let mut conflicts = 0;
    let tries = tries(&api, id, status, base, &mut conflicts);
    let result = timeout(TIMEOUT, tries).await;
    let result = result.unwrap_or_else(|_| Err(Problem::Failed("no answer".to_owned())));
    Landing { result, conflicts }
}

async fn tries(
    api: &Api<DynamicObject>,
    id: &ObjectId,
    status: &Status,
    base: Base,
    conflicts: &mut u64,
) -> Result<Written, Problem> {
    let name = &id.key.name;
    let mut base = base;
    while *conflicts < TRIES_MAX {
        let (before, version) = match base {
            Base::Known(before, version) => (before, version),
            Base::Read => read(id, &api.get(name).await.map_err(problem)?)?,
        };
        let after = merge(status, &before, &now()).ok_or_else(|| unlike(id))?;
        let Some(patch) = difference(&before.value(), &after.value()) else {
            return Ok(Written { version, said: fingerprint(&before), is_new: false });
        };
        let patch = json!({"metadata": {"resourceVersion": version}, "status": patch});
        let written = api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        match written {
            Ok(object) => {
                let (said, version) = read(id, &object)?;
                return Ok(Written { version, said: fingerprint(&said), is_new: true });
            }
            Err(kube::Error::Api(status)) if status.code == 409 => *conflicts += 1,
            Err(error) => return Err(problem(error)),
        }
        base = Base::Read;
    }
    Err(Problem::Failed("it changes all the time".to_owned()))
}

fn read(id: &ObjectId, object: &DynamicObject) -> Result<(Said, String), Problem> {
    let said = Said::parse(id.kind, object.data.get("status")).ok_or_else(|| unlike(id))?;
    Ok((said, object.metadata.resource_version.clone().unwrap_or_default()))
}

fn problem(error: kube::Error) -> Problem {
    match error {
        kube::Error::Api(status) if status.code == 404 => Problem::Gone,
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            Problem::Refused(status.message.clone())
        }
        error => Problem::Failed(error.to_string()),
    }
}

fn unlike(id: &ObjectId) -> Problem {
    Problem::Failed(format!("its status is not that of a {}", id.kind.name()))
}

/// The time in whole seconds, as conditions have it.
pub(super) fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}
