//! ListenerSets: listeners of a Gateway in objects of their own.

use super::{Draft, GROUP, GatewayDraft, Owner, Problem};
use crate::lower::age::created;
use crate::{
    ObjectKey, ObjectKind,
    api::{Gateway, ListenerSet},
};
use std::collections::BTreeMap;

/// A ListenerSet of a Gateway of ours.
#[derive(Debug)]
pub(super) struct SetDraft {
    /// Its key.
    pub(super) key: ObjectKey,
    /// Clusters that have it and the Gateway; the first's spec rules.
    pub(super) clusters: Vec<usize>,
    /// Why it does not belong to the Gateway.
    pub(super) refusal: Option<Problem>,
}

/// A ListenerSet that names a Gateway.
pub(super) struct Candidate<'a> {
    key: &'a ObjectKey,
    objects: Vec<(usize, &'a ListenerSet)>,
}

/// ListenerSets by the Gateway that they name, in order of precedence: the oldest first.
pub(super) fn by_gateway<'a>(draft: &Draft<'a>) -> BTreeMap<ObjectKey, Vec<Candidate<'a>>> {
    let mut sets: BTreeMap<ObjectKey, Vec<Candidate<'a>>> = BTreeMap::new();
    for (key, objects) in draft.index.merged(|it| &it.listener_sets) {
        let Some((_, set)) = objects.first() else { continue };
        let parent = &set.spec.parent_ref;
        let is_gateway = parent.group.as_deref().unwrap_or(GROUP) == GROUP
            && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
        if is_gateway {
            let namespace = parent.namespace.as_deref().unwrap_or(&key.namespace);
            let gateway = ObjectKey::new(namespace, &parent.name);
            sets.entry(gateway).or_default().push(Candidate { key, objects });
        }
    }
    for sets in sets.values_mut() {
        sets.sort_by_key(|it| (it.objects.first().map_or(0, |(_, set)| created(*set)), it.key));
    }
    sets
}

/// Attaches those that the Gateway allows: they become owners of listeners.
pub(super) fn attach<'a>(
    draft: &Draft<'a>,
    gateway: &Gateway,
    made: &GatewayDraft,
    sets: Vec<Candidate<'a>>,
    owners: &mut Vec<Owner<'a>>,
) -> Vec<SetDraft> {
    let own = ObjectKey::of(gateway);
    let allowed = gateway.spec.allowed_listeners.as_ref().and_then(|it| it.namespaces.as_ref());
    let mut drafts = Vec::new();
    for Candidate { key, mut objects } in sets {
        objects.retain(|(cluster, _)| made.clusters.contains(cluster));
        let Some((cluster, set)) = objects.first().copied() else { continue };
        let is_allowed =
            draft.index.allows_namespace(cluster, allowed, &own.namespace, &key.namespace, "None");
        let refusal = (!is_allowed).then(|| {
            let namespace = &key.namespace;
            let message = format!("the Gateway allows no ListenerSets of namespace {namespace}");
            Problem::new("NotAllowed", message)
        });
        if is_allowed {
            owners.push(Owner {
                id: draft.id(cluster, ObjectKind::ListenerSet, key),
                cluster,
                prefix: format!("{own}/{key}"),
                listeners: &set.spec.listeners,
            });
        }
        let clusters = objects.iter().map(|(cluster, _)| *cluster).collect();
        drafts.push(SetDraft { key: key.clone(), clusters, refusal });
    }
    drafts
}
