//! What the agent reads of an API server, for manifests that allow just that.
//!
//! Beside this it asks for `/version`, `/api` and `/apis` and what they list, which everybody who
//! is authenticated may (ClusterRole `system:discovery`).

use crate::watch::KINDS;

/// Verbs on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource as RBAC names it.
    pub resource: &'static str,
    /// Verbs, sorted.
    pub verbs: &'static [&'static str],
    /// It is in namespaces: a Role is enough where only some are watched.
    pub is_namespaced: bool,
    /// What for.
    pub why: &'static str,
}

/// Everything that is read. Secrets and ConfigMaps are listed and watched one by one
/// (`metadata.name`), or by namespace where many are referred to.
pub fn reads() -> Vec<Access> {
    let read = |it: &crate::watch::Kind| Access {
        group: it.group,
        resource: it.plural,
        verbs: &["list", "watch"],
        is_namespaced: it.is_namespaced,
        why: if it.is_by_need { "those that are referred to" } else { "what is to be served" },
    };
    KINDS.iter().map(read).collect()
}
