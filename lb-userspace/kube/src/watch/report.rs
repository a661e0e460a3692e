//! What watching a cluster tells the agent.

use super::{Change, source::Source};
use crate::ObjectKey;
use std::{collections::BTreeSet, fmt};
use tokio::sync::mpsc;

/// What watching a cluster tells.
pub(crate) enum Report {
    /// This is watched from now on.
    Sources(BTreeSet<Source>, BTreeSet<&'static str>),
    /// A source was read as a whole.
    Listed(Source, Box<dyn Change>),
    /// An object of a kind changed.
    Changed(&'static str, ObjectKey, Box<dyn Change>),
    /// A source works again.
    Well(Source),
    /// A source does not work. It is tried again.
    Failing {
        /// Which.
        source: Source,
        /// Why.
        error: String,
        /// HTTP status, if the server refuses.
        code: Option<u16>,
    },
    /// An object cannot be read; its last good self stays.
    Malformed {
        /// Its kind.
        kind: &'static str,
        /// Where it is.
        key: ObjectKey,
        /// Why.
        error: String,
    },
    /// The API server answers.
    Reachable,
    /// The API server does not.
    Away(String),
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sources(sources, silent) => write!(f, "Sources({sources:?}, {silent:?})"),
            Self::Listed(source, _) => write!(f, "Listed({source})"),
            Self::Changed(kind, key, _) => write!(f, "Changed({kind} {key})"),
            Self::Well(source) => write!(f, "Well({source})"),
            Self::Failing { source, error, code } => {
                write!(f, "Failing({source} {error} {code:?})")
            }
            Self::Malformed { kind, key, error } => write!(f, "Malformed({kind} {key} {error})"),
            Self::Reachable => f.write_str("Reachable"),
            Self::Away(error) => write!(f, "Away({error})"),
        }
    }
}

/// The way of reports of one cluster to the agent. When the agent is busy, reading waits.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    token: u64,
    sender: mpsc::Sender<(u64, Report)>,
}

impl Reports {
    /// Reports told by this token.
    pub(crate) const fn new(token: u64, sender: mpsc::Sender<(u64, Report)>) -> Self {
        Self { token, sender }
    }

    pub(super) async fn send(&self, report: Report) -> Result<(), ()> {
        self.sender.send((self.token, report)).await.map_err(drop)
    }
}
