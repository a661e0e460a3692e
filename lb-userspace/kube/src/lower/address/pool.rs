//! Pools of the file and of `AddressPool` objects.

use super::super::{age::created, draft::Draft, index::selects};
use crate::{
    AddressRange, Condition, ObjectId, ObjectKey, ObjectKind, Status,
    api::{ADDRESS_POOL_RANGES_MAX, AddressPool},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The API server's integers have 64 bits with a sign; a prefix of IPv6 has more addresses.
const COUNT_MAX: u128 = i64::MAX as u128;

/// A pool. Ranges of `AddressPool`s overlap with none before them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) ranges: Vec<AddressRange>,
    /// Who names no pool gets addresses of it too.
    pub(super) auto_assign: bool,
    /// Its addresses belong to this host.
    pub(super) bind: bool,
    pub(super) namespaces: Option<LabelSelector>,
    pub(super) objects: Option<LabelSelector>,
    /// The objects that it is of, with their generation; none = it is of the file.
    pub(super) ids: Vec<(ObjectId, i64)>,
    /// What is wrong with it.
    pub(super) refused: Vec<String>,
}

impl Pool {
    /// Whether it has `address`.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|it| it.contains(address))
    }

    /// Whether objects of a namespace (`""` = of the whole cluster) with these labels may use it.
    pub(super) fn admits(
        &self,
        draft: &Draft<'_>,
        cluster: usize,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let namespaces = self.namespaces.as_ref().is_none_or(|it| {
            !namespace.is_empty() && draft.index.selects_namespace(cluster, it, namespace)
        });
        namespaces && self.objects.as_ref().is_none_or(|it| selects(it, labels))
    }

    fn count(&self) -> u128 {
        self.ranges.iter().fold(0, |sum, it| sum.saturating_add(it.count()))
    }
}

/// All pools: those of the file, then the objects in order of age. Where two have an address, the
/// first does.
pub(super) fn pools(draft: &Draft<'_>) -> Vec<Pool> {
    let mut pools: Vec<Pool> = draft.world.options.pools.iter().map(of_file).collect();
    let mut objects: Vec<_> = draft.index.merged(|it| &it.address_pools).into_iter().collect();
    objects.sort_by_key(|(key, found)| (found.first().map_or(0, |it| created(it.1)), *key));
    for (key, found) in objects {
        let Some((_, object)) = found.first() else { continue };
        let mut pool = of_object(key, object, &pools);
        for (cluster, object) in found {
            let id = draft.id(cluster, ObjectKind::AddressPool, key);
            pool.ids.push((id, object.metadata.generation.unwrap_or_default()));
        }
        pools.push(pool);
    }
    pools
}

/// Says how full the pools of objects are.
pub(super) fn report(draft: &mut Draft<'_>, pools: &[Pool], held: &BTreeSet<IpAddr>) {
    let mut assigned = vec![0_u64; pools.len()];
    for address in held {
        let place = pools.iter().position(|it| it.contains(*address));
        if let Some(count) = place.and_then(|it| assigned.get_mut(it)) {
            *count = count.saturating_add(1);
        }
    }
    for (pool, assigned) in pools.iter().zip(assigned) {
        let free = pool.count().saturating_sub(assigned.into());
        let free = u64::try_from(free.min(COUNT_MAX)).unwrap_or_default();
        for (id, generation) in &pool.ids {
            let conditions = conditions(pool, *generation);
            let status = Status::AddressPool { assigned, free, conditions };
            draft.tell(id.clone(), status);
        }
    }
}

fn of_file(pool: &crate::Pool) -> Pool {
    let selector = |labels: &BTreeMap<String, String>| {
        (!labels.is_empty())
            .then(|| LabelSelector { match_labels: Some(labels.clone()), match_expressions: None })
    };
    Pool {
        name: pool.name.clone(),
        ranges: pool.ranges.clone(),
        auto_assign: pool.auto_assign,
        bind: pool.bind,
        namespaces: selector(&pool.namespace_labels),
        objects: selector(&pool.object_labels),
        ..Pool::default()
    }
}

fn of_object(key: &ObjectKey, object: &AddressPool, others: &[Pool]) -> Pool {
    let spec = &object.spec;
    let mut pool = Pool {
        name: key.name.clone(),
        auto_assign: spec.auto_assign.unwrap_or(true),
        bind: spec.bind,
        namespaces: spec.namespace_selector.clone(),
        objects: spec.service_selector.clone(),
        ..Pool::default()
    };
    if others.iter().any(|it| it.name == key.name) {
        pool.refused.push("the file of the load balancer has a pool of this name".to_owned());
        return pool;
    }
    for text in spec.addresses.iter().take(ADDRESS_POOL_RANGES_MAX) {
        match text.parse::<AddressRange>() {
            Err(error) => pool.refused.push(format!("{text} {error}")),
            Ok(range) => {
                let overlaps = |it: &&Pool| it.ranges.iter().any(|it| it.overlaps(&range));
                let other = others.iter().chain([&pool]).find(overlaps).map(|it| it.name.clone());
                match other {
                    Some(name) => pool.refused.push(format!("{text} overlaps with pool {name}")),
                    None => pool.ranges.push(range),
                }
            }
        }
    }
    if spec.addresses.len() > ADDRESS_POOL_RANGES_MAX {
        let refusal = format!("ranges after the first {ADDRESS_POOL_RANGES_MAX} are left out");
        pool.refused.push(refusal);
    }
    pool
}

fn conditions(pool: &Pool, generation: i64) -> Vec<Condition> {
    let wrong = pool.refused.join("; ");
    let is_usable = !pool.ranges.is_empty();
    let accepted = match (is_usable, wrong.is_empty()) {
        (true, _) => Condition {
            kind: "Accepted",
            holds: Some(true),
            reason: "Accepted",
            message: String::new(),
            generation,
        },
        (false, is_empty) => Condition {
            kind: "Accepted",
            holds: Some(false),
            reason: "NoAddresses",
            message: if is_empty { "it has no addresses".to_owned() } else { wrong.clone() },
            generation,
        },
    };
    let mut conditions = vec![accepted];
    if is_usable && !wrong.is_empty() {
        conditions.push(Condition {
            kind: "PartiallyInvalid",
            holds: Some(true),
            reason: "InvalidAddresses",
            message: wrong,
            generation,
        });
    }
    conditions
}
