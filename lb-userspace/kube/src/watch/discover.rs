//! Which kinds an API server has, and at which version.

use super::{
    kind::{KINDS, Kind},
    request::Failure,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Client;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The first minor version of Kubernetes 1 that streams lists unless told not to (KEP-3157).
const STREAMS_FROM: u32 = 34;

/// API versions by kind, those of kinds that are there.
pub type Versions = BTreeMap<&'static str, String>;

/// What an API server has of what is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Versions by kind.
    pub(super) versions: Versions,
    /// Kinds whose group does not answer: whether they are there is not known.
    pub(super) silent: BTreeSet<&'static str>,
    /// It streams lists.
    pub(super) streams: bool,
}

impl Served {
    /// Whether a kind is missing, which may yet come.
    pub(super) fn is_partial(&self) -> bool {
        self.versions.len() < KINDS.len()
    }
}

/// Asks an API server whether it is there.
pub(super) async fn probe(client: &Client) -> Result<(), Failure> {
    within(client.apiserver_version()).await.map(drop)
}

/// Asks an API server what it has.
pub(super) async fn discover(client: &Client) -> Result<Served, Failure> {
    let version = within(client.apiserver_version()).await?;
    let mut served = Served { streams: streams(&version), ..Served::default() };
    let groups = within(client.list_api_groups()).await?;
    let mut offered = BTreeSet::from(["v1".to_owned()]);
    for group in groups.groups {
        offered.extend(group.versions.into_iter().map(|it| it.group_version));
    }
    let mut lists: BTreeMap<String, Option<APIResourceList>> = BTreeMap::new();
    for kind in &KINDS {
        for version in kind.versions {
            let group_version = group_version(kind, version);
            if !offered.contains(&group_version) {
                continue;
            }
            if !lists.contains_key(&group_version) {
                let list = resources(client, kind.group, &group_version).await?;
                lists.insert(group_version.clone(), list);
            }
            let has = |it: &APIResourceList| it.resources.iter().any(|it| it.name == kind.plural);
            match lists.get(&group_version) {
                Some(Some(list)) if has(list) => {
                    served.versions.insert(kind.name, (*version).to_owned());
                    served.silent.remove(kind.name);
                    break;
                }
                Some(None) => drop(served.silent.insert(kind.name)),
                _ => {}
            }
        }
    }
    Ok(served)
}

fn group_version(kind: &Kind, version: &str) -> String {
    if kind.group.is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group) }
}

/// What a group has: nothing if it has just gone (404). `None` = its own server is away (503).
async fn resources(
    client: &Client,
    group: &str,
    group_version: &str,
) -> Result<Option<APIResourceList>, Failure> {
    let answer = if group.is_empty() {
        within(client.list_core_api_resources(group_version)).await
    } else {
        within(client.list_api_group_resources(group_version)).await
    };
    match answer {
        Err(Failure::Refused { code: 404, .. }) => Ok(Some(APIResourceList::default())),
        Err(Failure::Refused { code: 503, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

fn streams(version: &k8s_openapi::apimachinery::pkg::version::Info) -> bool {
    let digits: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
    version.major == "1" && digits.parse::<u32>().is_ok_and(|minor| minor >= STREAMS_FROM)
}

async fn within<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match timeout(TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::Broken("the API server does not answer".to_owned())),
    }
}
