//! Routes of requests one by one: what came of each and what it looked at, so that a change of one
//! is a change of one.

use super::{
    attach::{self, Attachment, Parents},
    lower_one,
    source::{self, Source},
    stream::InForce,
};
use crate::{
    ObjectKey, ObjectKind,
    api::ParentRef,
    lower::{
        draft::Draft,
        gateway::Gateways,
        upstream::{Resolution, Resolved, ResolvedKey},
        uses::Uses,
    },
};
use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

/// What came of a route.
#[derive(Debug)]
pub(in crate::lower) struct Unit {
    /// Clusters that have it, by place in the configuration.
    pub(in crate::lower) clusters: Vec<usize>,
    /// What it looked up and made.
    pub(in crate::lower) uses: Uses,
    /// Places of the listeners that it would be attached to if no other route were.
    asked: BTreeSet<usize>,
    /// Places of the listeners that it is counted on.
    counted: BTreeSet<usize>,
}

/// Kind and key of a route.
pub(in crate::lower) type UnitKey = (ObjectKind, ObjectKey);

/// Routes of requests, and what they have in common.
#[derive(Debug, Default)]
pub(in crate::lower) struct Units {
    all: BTreeMap<UnitKey, Unit>,
    /// How many use a look-up.
    users: BTreeMap<Arc<ResolvedKey>, usize>,
    /// How many are served by an upstream, by its name.
    served: BTreeMap<String, usize>,
    /// How many HTTPRoutes and GRPCRoutes ask for a listener, by its place.
    asking: BTreeMap<usize, Asking>,
}

/// How many routes of each kind ask for a listener.
#[derive(Clone, Copy, Debug, Default)]
struct Asking {
    http: usize,
    grpc: usize,
}

/// What is no longer needed when routes have changed.
#[derive(Debug, Default)]
pub(in crate::lower) struct Left {
    /// Upstreams that a route was served by.
    pub(in crate::lower) upstreams: BTreeSet<String>,
    /// Look-ups that a route used.
    pub(in crate::lower) lookups: BTreeSet<Arc<ResolvedKey>>,
    /// Gateways that a route was attached to.
    pub(in crate::lower) gateways: BTreeSet<ObjectKey>,
}

impl Unit {
    /// Lowers a route. `asked` = where it would be attached if no other route were.
    pub(super) fn lower<'a>(
        draft: &mut Draft<'a>,
        parents: &Parents<'_>,
        source: &Source<'a>,
        attachments: &mut [Attachment<'a>],
        asked: BTreeSet<usize>,
    ) -> Self {
        let others = mem::take(&mut draft.uses);
        lower_one(draft, parents, source, attachments, &mut InForce::default());
        let uses = mem::replace(&mut draft.uses, others);
        let clusters = source.clusters.clone();
        Self { clusters, uses, asked, counted: attach::places(attachments) }
    }
}

impl Units {
    pub(super) fn insert(&mut self, source: &Source<'_>, unit: Unit, resolved: &Resolved) {
        for place in &unit.asked {
            *self.asking.entry(*place).or_default().of(source.kind) += 1;
        }
        self.count(&unit.uses, resolved);
        self.all.insert((source.kind, source.key.clone()), unit);
    }

    /// Counts what is used, by a route or by something else.
    pub(in crate::lower) fn count(&mut self, uses: &Uses, resolved: &Resolved) {
        for (key, is_served) in &uses.backends {
            *self.users.entry(Arc::clone(key)).or_default() += 1;
            if let Some(name) = served(resolved, key).filter(|_| *is_served) {
                *self.served.entry(name).or_default() += 1;
            }
        }
    }

    /// Takes a route out.
    pub(in crate::lower) fn remove(
        &mut self,
        key: &UnitKey,
        resolved: &Resolved,
        gateways: &mut Gateways,
        left: &mut Left,
    ) -> Option<Unit> {
        let unit = self.all.remove(key)?;
        for place in &unit.asked {
            if let Some(counts) = self.asking.get_mut(place) {
                let count = counts.of(key.0);
                *count = count.saturating_sub(1);
            }
        }
        for (key, is_served) in &unit.uses.backends {
            decrease(&mut self.users, &**key);
            left.lookups.insert(Arc::clone(key));
            if let Some(name) = served(resolved, key).filter(|_| *is_served) {
                decrease(&mut self.served, name.as_str());
                left.upstreams.insert(name);
            }
        }
        attach::count(gateways, key.0, &key.1, &unit.counted, false);
        left.gateways.extend(unit.counted.iter().filter_map(|it| gateways.key_of(*it).cloned()));
        Some(unit)
    }

    /// Routes that use a look-up.
    pub(in crate::lower) fn users(&self, key: &ResolvedKey) -> impl Iterator<Item = &UnitKey> {
        let uses = move |it: &(&UnitKey, &Unit)| it.1.uses.backends.contains_key(key);
        self.all.iter().filter(uses).map(|(key, _)| key)
    }

    /// Whether somebody is served by an upstream.
    pub(in crate::lower) fn are_served_by(&self, upstream: &str) -> bool {
        self.served.contains_key(upstream)
    }

    /// Whether somebody uses a look-up.
    pub(in crate::lower) fn use_it(&self, key: &ResolvedKey) -> bool {
        self.users.contains_key(key)
    }

    /// Whether routes of both kinds ask for a listener that one of these asks for: who has which
    /// host there depends on all of them.
    fn are_contested(&self, places: &BTreeSet<usize>) -> bool {
        places.iter().filter_map(|it| self.asking.get(it)).any(|it| it.http > 0 && it.grpc > 0)
    }

    /// Services of policies that a route uses, with its Gateways.
    pub(in crate::lower) fn told_of(&self, key: &UnitKey) -> &[(ObjectKey, Vec<ParentRef>)] {
        self.all.get(key).map(|it| it.uses.told.as_slice()).unwrap_or_default()
    }

    /// Whether these routes use no backends but Services.
    pub(in crate::lower) fn are_of_services(&self, keys: &BTreeSet<UnitKey>) -> bool {
        keys.iter().filter_map(|it| self.all.get(it)).all(|it| it.uses.is_of_services())
    }

    /// Whether what a route asks for is contested.
    pub(in crate::lower) fn is_contested(&self, key: &UnitKey) -> bool {
        self.all.get(key).is_some_and(|it| self.are_contested(&it.asked))
    }
}

/// Lowers routes that were taken out, as far as they are there. False = all have to be lowered.
pub(in crate::lower) fn lower_again(
    draft: &mut Draft<'_>,
    gateways: &mut Gateways,
    units: &mut Units,
    keys: &BTreeSet<UnitKey>,
    left: &mut Left,
) -> bool {
    let parents = Parents::new(gateways);
    let mut counted = Vec::new();
    for (kind, key) in keys {
        let Some(source) = source::one(draft, *kind, key) else { continue };
        let mut attachments = parents.attach(&draft.index, &source);
        let asked = attach::places(&attachments);
        let unit = Unit::lower(draft, &parents, &source, &mut attachments, asked);
        counted.push((*kind, key, unit.counted.clone()));
        left.gateways.extend(unit.counted.iter().filter_map(|it| parents.gateway(*it).cloned()));
        let asked = unit.asked.clone();
        units.insert(&source, unit, &draft.resolved);
        if units.are_contested(&asked) {
            return false;
        }
    }
    for (kind, key, places) in counted {
        attach::count(gateways, kind, key, &places, true);
    }
    true
}

impl Asking {
    fn of(&mut self, kind: ObjectKind) -> &mut usize {
        if kind == ObjectKind::GrpcRoute { &mut self.grpc } else { &mut self.http }
    }
}

fn decrease<K: Ord + Borrow<Q>, Q: Ord + ?Sized>(counts: &mut BTreeMap<K, usize>, key: &Q) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The upstream that a look-up leads to.
fn served(resolved: &Resolved, key: &ResolvedKey) -> Option<String> {
    let (_, resolution) = resolved.entry(key)?;
    let Resolution { result, .. } = &*resolution;
    result.as_ref().ok().cloned()
}
