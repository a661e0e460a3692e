//! Lowers one world after another: what is as it was is not lowered again.
//!
//! Routes of requests and backends are followed one by one, for there may be very many of them and
//! they change all the time. When anything else changes, everything is lowered; what comes out
//! the same is the same, so that nobody behind has to look at it.

use super::{
    address,
    changed::Changed,
    discovery,
    draft::Draft,
    gateway::{self, Gateways},
    index::{Index, Slices},
    ingress, policy,
    route::{self, Left, Unit, UnitKey, Units},
    service,
    upstream::{Resolution, Resolved, ResolvedKey},
};
use crate::{Lowered, Notice, ObjectId, ObjectKey, Status, World};
use lb_model::{Desired, Shared, Table};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

/// Lowers one world after another. What it gives depends on the last world only.
#[derive(Debug, Default)]
pub struct Lowering(Option<Box<Kept>>);

/// What is known of the last world.
#[derive(Debug)]
struct Kept {
    world: World,
    lowered: Lowered,
    gateways: Gateways,
    units: Units,
    resolved: Resolved,
    slices: Slices,
    /// Services that something else than routes of requests looked at.
    services_of_others: BTreeSet<ObjectKey>,
    /// Notices that are not about backends.
    notices: Vec<Notice>,
}

impl Lowering {
    /// What `world` asks for.
    pub fn lower(&mut self, world: &World) -> Lowered {
        // What is left half done when something panics is not to be seen again.
        let mut before = self.0.take();
        let again = before.as_mut().and_then(|it| it.lower(world));
        let (kept, lowered) = match (before, again) {
            (Some(kept), Some(lowered)) => (kept, lowered),
            (before, _) => {
                let mut kept = Box::new(Kept::of(world));
                if let Some(before) = before {
                    share(&mut kept.lowered, before.lowered);
                }
                let lowered = kept.lowered.clone();
                (kept, lowered)
            }
        };
        self.0 = Some(kept);
        lowered
    }
}

impl Kept {
    /// Lowers everything.
    fn of(world: &World) -> Self {
        let mut draft = Draft::new(world);
        address::lower(&mut draft);
        let mut gateways = gateway::lower(&mut draft);
        let mut units = route::lower(&mut draft, &mut gateways);
        gateway::report(&mut draft, &gateways);
        service::lower(&mut draft);
        ingress::lower(&mut draft);
        discovery::lower(&mut draft);
        policy::report(&mut draft);
        units.count(&draft.uses, &draft.resolved);
        let services_of_others = draft.uses.services();
        let notices = draft.notices.clone();
        let (lowered, resolved, slices) = draft.finish();
        let world = world.clone();
        Self { world, lowered, gateways, units, resolved, slices, services_of_others, notices }
    }

    /// Lowers what changed, if only that has to be lowered.
    fn lower(&mut self, world: &World) -> Option<Lowered> {
        let changed = Changed::between(&self.world, world)?;
        let mut looked_at = changed.services.iter().chain(changed.slices.iter().map(|it| &it.1));
        if looked_at.any(|it| self.services_of_others.contains(it)) {
            return None;
        }
        self.take_slices(&changed);
        let index = Index::with(world, mem::take(&mut self.slices));
        let mut draft = Draft::over(world, index);
        draft.resolved = mem::take(&mut self.resolved);
        let resolutions = resolve(&mut draft, &changed.services);
        let mut keys = changed.routes;
        for (key, (before, resolution)) in &resolutions {
            if before.result != resolution.result {
                keys.extend(self.units.users(key).cloned());
            }
        }
        let mut left = Left::default();
        let before = self.take_out(&keys, &draft.resolved, &mut left)?;
        let mut are_notices_same = true;
        for (key, (before, resolution)) in resolutions {
            are_notices_same &= before.notices == resolution.notices;
            self.replace(&resolution);
            draft.resolved.put(key, resolution);
        }
        if !keys.is_empty() {
            are_notices_same &= self.put_in(&mut draft, &keys, &mut left, &before)?;
        }
        if !are_notices_same {
            self.lowered.notices = self.notices.clone();
            self.lowered.notices.extend(draft.resolved.notices().cloned());
            self.lowered.notices.sort();
            self.lowered.notices.dedup();
        }
        (self.resolved, self.slices) = draft.into_lookups();
        self.world = world.clone();
        Some(self.lowered.clone())
    }

    fn take_slices(&mut self, changed: &Changed) {
        for (cluster, slice, [before, after]) in &changed.slices {
            let Some(slices) = self.slices.get_mut(*cluster) else { continue };
            if let Some(names) = before.as_ref().and_then(|it| slices.get_mut(it)) {
                names.remove(slice);
            }
            if let Some(service) = before.as_ref()
                && slices.get(service).is_some_and(BTreeSet::is_empty)
            {
                slices.remove(service);
            }
            if let Some(service) = after
                && let Some(names) = slices.get_or_insert_with(service.clone(), BTreeSet::new)
            {
                names.insert(slice.clone());
            }
        }
    }

    /// Takes out what was made of routes. `None` = others depend on one of them.
    fn take_out(
        &mut self,
        keys: &BTreeSet<UnitKey>,
        resolved: &Resolved,
        left: &mut Left,
    ) -> Option<Before> {
        let proxy = &mut self.lowered.desired.proxy;
        let statuses = self.lowered.statuses.clone();
        let desired = Desired { proxy: proxy.clone(), ..Desired::default() };
        let mut before = Before { desired, statuses, units: BTreeMap::new() };
        for key in keys {
            if self.units.is_contested(key) {
                return None;
            }
            let Some(unit) = self.units.remove(key, resolved, &mut self.gateways, left) else {
                continue;
            };
            if !unit.uses.is_of_services() {
                return None;
            }
            for route in &unit.uses.routes {
                proxy.routes.remove(route);
            }
            for cluster in unit.clusters.iter().filter_map(|it| self.world.clusters.get(*it)) {
                let (cluster, kind, key) = (cluster.name.clone(), key.0, key.1.clone());
                self.lowered.statuses.remove(&ObjectId { cluster, kind, key });
            }
            before.units.insert(key.clone(), unit);
        }
        Some(before)
    }

    /// Puts in what becomes of routes now. `None` = others depend on one of them. Returns whether
    /// users are told the same of backends.
    fn put_in(
        &mut self,
        draft: &mut Draft<'_>,
        keys: &BTreeSet<UnitKey>,
        left: &mut Left,
        before: &Before,
    ) -> Option<bool> {
        let known = draft.resolved.len();
        if !route::lower_again(draft, &mut self.gateways, &mut self.units, keys, left) {
            return None;
        }
        if !keys.iter().all(|it| self.units.told_of(it) == before.told_of(it)) {
            return None;
        }
        if !self.units.are_of_services(keys) {
            return None;
        }
        for key in &left.gateways {
            if let Some(gateway) = self.gateways.gateways.get(key) {
                gateway::report_gateway(draft, key, gateway);
            }
        }
        let mut are_notices_same = draft.resolved.len() == known;
        for key in &left.lookups {
            if !self.units.use_it(key) {
                draft.resolved.forget(key);
                are_notices_same = false;
            }
        }
        let made = mem::take(&mut draft.desired);
        let Desired { interfaces, services, settings: _, proxy: made } = made;
        let is_of_routes = interfaces.is_empty()
            && services.is_empty()
            && made.listeners.is_empty()
            && made.stream_routes.is_empty()
            && made.certificates.is_empty()
            && draft.notices.is_empty();
        if !is_of_routes {
            return None;
        }
        let proxy = &mut self.lowered.desired.proxy;
        for upstream in left.upstreams.iter().filter(|it| !self.units.are_served_by(it)) {
            proxy.upstreams.remove(upstream);
        }
        put(&mut proxy.upstreams, &made.upstreams, &before.desired.proxy.upstreams);
        put(&mut proxy.routes, &made.routes, &before.desired.proxy.routes);
        put(&mut self.lowered.statuses, &draft.statuses, &before.statuses);
        Some(are_notices_same)
    }

    /// An upstream is another than before, by the same name.
    fn replace(&mut self, resolution: &Resolution) {
        let (Ok(name), Some(upstream)) = (&resolution.result, &resolution.upstream) else { return };
        let upstreams = &mut self.lowered.desired.proxy.upstreams;
        if upstreams.get(name).is_some_and(|it| it != upstream) {
            upstreams.insert(name.clone(), upstream.clone());
        }
    }
}

/// What there was before a change.
struct Before {
    desired: Desired,
    statuses: Table<ObjectId, Shared<Status>>,
    units: BTreeMap<UnitKey, Unit>,
}

impl Before {
    fn told_of(&self, key: &UnitKey) -> &[(ObjectKey, Vec<crate::api::ParentRef>)] {
        self.units.get(key).map(|it| it.uses.told.as_slice()).unwrap_or_default()
    }
}

/// What is known before and after of look-ups.
type Resolutions = BTreeMap<Arc<ResolvedKey>, (Arc<Resolution>, Resolution)>;

/// What look-ups of these Services came to, and come to now.
fn resolve(draft: &mut Draft<'_>, services: &BTreeSet<ObjectKey>) -> Resolutions {
    let mut resolutions = Resolutions::new();
    for service in services {
        let known = draft.resolved.of_object(service).filter(|(key, _)| key.is_service);
        let known: Vec<_> = known.map(|(key, it)| (Arc::clone(key), Arc::clone(it))).collect();
        for (key, before) in known {
            let resolution = draft.resolve(&key);
            resolutions.insert(key, (before, resolution));
        }
    }
    resolutions
}

/// Puts in what was made; what is as it was is the same as before.
fn put<K: Ord + Clone, T: PartialEq>(
    into: &mut Table<K, Shared<T>>,
    made: &Table<K, Shared<T>>,
    before: &Table<K, Shared<T>>,
) {
    for (key, value) in made {
        let value = before.get(key).filter(|it| *it == value).unwrap_or(value);
        if into.get(key).is_none_or(|it| !it.is_same(value)) {
            into.insert(key.clone(), value.clone());
        }
    }
}

/// Has what is as before be the same as before.
fn share(lowered: &mut Lowered, before: Lowered) {
    lowered.statuses.adopt(before.statuses);
    let Desired { services, proxy, .. } = before.desired;
    lowered.desired.services.adopt(services);
    let (own, proxy) = (&mut lowered.desired.proxy, *proxy);
    own.listeners.adopt(proxy.listeners);
    own.routes.adopt(proxy.routes);
    own.stream_routes.adopt(proxy.stream_routes);
    own.upstreams.adopt(proxy.upstreams);
    own.certificates.adopt(proxy.certificates);
}

#[cfg(test)]
mod tests;
