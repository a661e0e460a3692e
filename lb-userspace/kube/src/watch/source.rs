//! What one watch looks at.

use crate::ObjectKey;
use std::fmt;

/// Which objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// All of the cluster.
    All,
    /// Those of a namespace.
    Namespace(String),
    /// One.
    One(ObjectKey),
}

impl Scope {
    /// The namespace that all of its objects are in.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Namespace(namespace) => Some(namespace),
            Self::One(key) => Some(&key.namespace),
        }
    }

    /// Whether an object with this key is meant.
    pub(crate) fn has(&self, key: &ObjectKey) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => key.namespace == *namespace,
            Self::One(one) => key == one,
        }
    }
}

/// A kind, and which of its objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Name of the kind.
    pub(crate) kind: &'static str,
    /// Which of its objects.
    pub(crate) scope: Scope,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::All => f.write_str(self.kind),
            Scope::Namespace(namespace) => write!(f, "{} in {namespace}", self.kind),
            Scope::One(key) => write!(f, "{} {key}", self.kind),
        }
    }
}
