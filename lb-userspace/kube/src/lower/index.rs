//! Look-ups over the world that several parts need, made once.

use crate::{
    ObjectKey, Store, World,
    api::{ReferenceGrant, RouteNamespaces},
};
use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use lb_model::Table;
use std::collections::{BTreeMap, BTreeSet};

/// The label that tells which Service a slice belongs to (Kubernetes, EndpointSlice reference).
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The label that every namespace has (Kubernetes, well-known labels).
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// An object merged over clusters: where it is, in the order of the configuration. The first rules.
pub(super) type Merged<'a, T> = BTreeMap<&'a ObjectKey, Vec<(usize, &'a T)>>;

/// Look-ups over the world.
pub(super) struct Index<'a> {
    world: &'a World,
    slices: Slices,
    grants: Vec<Grants<'a>>,
}

/// Names of the slices of Services, for each cluster.
pub(super) type Slices = Vec<Table<ObjectKey, BTreeSet<ObjectKey>>>;

impl<'a> Index<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let slices = world.clusters.iter().map(|it| slices(&it.objects.endpoint_slices)).collect();
        Self::with(world, slices)
    }

    /// With slices that are known.
    pub(super) fn with(world: &'a World, slices: Slices) -> Self {
        let grants = world.clusters.iter().map(|it| Grants::of(&it.objects)).collect();
        Self { world, slices, grants }
    }

    /// Names of all slices by Service.
    pub(super) fn into_slices(self) -> Slices {
        self.slices
    }

    /// Slices of a Service of a cluster, in order of their names.
    pub(super) fn slices(
        &self,
        cluster: usize,
        service: &ObjectKey,
    ) -> impl Iterator<Item = &'a EndpointSlice> {
        let names = self.slices.get(cluster).and_then(|it| it.get(service));
        let all = self.world.clusters.get(cluster).map(|it| &it.objects.endpoint_slices);
        let of = move |name: &ObjectKey| all?.get(name).map(|it| &**it);
        names.into_iter().flatten().filter_map(of)
    }

    /// Whether `from` (group, kind, namespace) may refer to `to` (group, kind, namespace, name):
    /// within a namespace always, else with a ReferenceGrant in the namespace of `to`.
    pub(super) fn is_granted(&self, cluster: usize, from: Referrer<'_>, to: Referent<'_>) -> bool {
        self.grants.get(cluster).is_some_and(|it| it.allow(from, to))
    }

    /// Whether something in `namespace` is allowed by `allowed`, said in `own`. `fallback` is what
    /// nothing said means.
    pub(super) fn allows_namespace(
        &self,
        cluster: usize,
        allowed: Option<&RouteNamespaces>,
        own: &str,
        namespace: &str,
        fallback: &str,
    ) -> bool {
        let from = allowed.and_then(|it| it.from.as_deref()).unwrap_or(fallback);
        match from {
            "All" => true,
            "Same" => own == namespace,
            "Selector" => allowed
                .and_then(|it| it.selector.as_ref())
                .is_some_and(|selector| self.selects_namespace(cluster, selector, namespace)),
            _ => false,
        }
    }

    /// Whether the labels of a namespace are selected.
    pub(super) fn selects_namespace(
        &self,
        cluster: usize,
        selector: &LabelSelector,
        namespace: &str,
    ) -> bool {
        let objects = self.world.clusters.get(cluster).map(|it| &it.objects);
        let found = objects.and_then(|it| it.namespaces.get(&ObjectKey::new("", namespace)));
        let mut labels = found.and_then(|it| it.metadata.labels.clone()).unwrap_or_default();
        labels.entry(NAMESPACE_NAME.to_owned()).or_insert_with(|| namespace.to_owned());
        selects(selector, &labels)
    }

    /// Objects of a kind, those of one key in several clusters together.
    pub(super) fn merged<T>(
        &self,
        store: impl Fn(&'a crate::Objects) -> &'a Store<T>,
    ) -> Merged<'a, T> {
        let mut merged: Merged<'a, T> = BTreeMap::new();
        for (index, cluster) in self.world.clusters.iter().enumerate() {
            for (key, object) in store(&cluster.objects) {
                merged.entry(key).or_default().push((index, object));
            }
        }
        merged
    }
}

/// The ReferenceGrants of a cluster, by namespace.
#[derive(Default)]
pub(crate) struct Grants<'a>(BTreeMap<&'a str, Vec<&'a ReferenceGrant>>);

impl<'a> Grants<'a> {
    /// Those of `objects`.
    pub(crate) fn of(objects: &'a crate::Objects) -> Self {
        let mut grants: BTreeMap<&str, Vec<&ReferenceGrant>> = BTreeMap::new();
        for (key, grant) in &objects.reference_grants {
            grants.entry(key.namespace.as_str()).or_default().push(grant);
        }
        Self(grants)
    }

    /// Whether `from` may refer to `to`: within a namespace always.
    pub(crate) fn allow(&self, from: Referrer<'_>, to: Referent<'_>) -> bool {
        if from.namespace == to.namespace {
            return true;
        }
        self.0.get(to.namespace).into_iter().flatten().any(|grant| {
            let is_from = grant.spec.from.iter().any(|it| {
                it.group == from.group && it.kind == from.kind && it.namespace == from.namespace
            });
            let is_to = grant.spec.to.iter().any(|it| {
                let names = it.name.as_deref().is_none_or(|name| name == to.name);
                it.group == to.group && it.kind == to.kind && names
            });
            is_from && is_to
        })
    }
}

/// Who refers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referrer<'a> {
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
}

/// To what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referent<'a> {
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Whether `labels` are selected (Kubernetes, LabelSelector: all requirements must hold).
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten();
    let mut required = selector.match_expressions.iter().flatten();
    equal.into_iter().all(|(name, value)| labels.get(name) == Some(value))
        && required.all(|it| {
            let value = labels.get(&it.key);
            let is_listed =
                value.is_some_and(|value| it.values.iter().flatten().any(|one| one == value));
            match it.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

fn slices(store: &Store<EndpointSlice>) -> Table<ObjectKey, BTreeSet<ObjectKey>> {
    let mut slices: BTreeMap<ObjectKey, BTreeSet<ObjectKey>> = BTreeMap::new();
    for (key, slice) in store {
        if let Some(service) = service_of(key, slice) {
            slices.entry(service).or_default().insert(key.clone());
        }
    }
    slices.into()
}

/// The Service that a slice belongs to.
pub(super) fn service_of(key: &ObjectKey, slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(ObjectKey::new(&key.namespace, name))
}
