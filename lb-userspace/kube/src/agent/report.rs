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
    /// Its API server has not answered since the start: what was saved before is served.
    Saved,
}

impl ClusterState {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Watching => "watching",
            Self::Away => "away",
            Self::Saved => "saved",
        }
    }
}

/// Something in a cluster that the operator has to put right: nothing comes of waiting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterProblem {
    /// Why, in CamelCase: `LeaseNamespaceMissing`, `LeaseForbidden`, `ReadForbidden`,
    /// `StatusForbidden`, `NotSaved`.
    pub reason: String,
    /// What does not work, and what the API server said.
    pub message: String,
    /// What to create or grant.
    pub hint: String,
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
    /// When it was as it is served, milliseconds since the Unix epoch, while that is a saved state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_at_ms: Option<u64>,
    /// What went wrong last, even if it is over.
    pub last_error: Option<String>,
    /// What the operator has to put right, at most 100.
    #[serde(default)]
    pub problems: Vec<ClusterProblem>,
    /// Kinds that the agent may not read, with what the API server said.
    pub forbidden: BTreeMap<String, String>,
    /// Objects that cannot be read, with the reason; their last good selves are served.
    pub malformed: BTreeMap<String, String>,
    /// Objects by kind.
    pub objects: BTreeMap<String, usize>,
}
