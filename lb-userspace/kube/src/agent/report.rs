//! How clusters are, for people.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a cluster is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// It was not read as a whole yet: nothing of it is served.
    Starting,
    /// Changes come as they happen.
    Watching,
    /// Its API server does not answer: the last good state is served.
    Away,
}

impl ClusterState {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Watching => "watching",
            Self::Away => "away",
        }
    }
}

/// How a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// Its name.
    pub name: String,
    /// Whether it is watched.
    pub state: ClusterState,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What went wrong last, even if it is over.
    pub last_error: Option<String>,
    /// Kinds that the agent may not read, with what the API server said.
    pub forbidden: BTreeMap<String, String>,
    /// Objects that cannot be read, with the reason; their last good selves are served.
    pub malformed: BTreeMap<String, String>,
    /// Objects by kind.
    pub objects: BTreeMap<String, usize>,
}
