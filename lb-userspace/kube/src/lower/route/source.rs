//! What routes of all kinds have in common.

use super::super::{age::created, draft::Draft, index::Merged};
use crate::{
    GATEWAY_CONTROLLER, ObjectKey, ObjectKind, Objects, Store,
    api::{GRPCRoute, GRPCRouteSpec, HTTPRoute, HTTPRouteSpec, ParentRef, RouteStatus, StreamRule},
};
use kube::Resource;
use lb_model::HostPattern;
use std::{cmp::Ordering, collections::BTreeSet};

/// A route: those of one name in several clusters are one.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Seconds since the Unix epoch when it was made.
    pub(super) age: u64,
    /// Its key.
    pub(super) key: &'a ObjectKey,
    /// Its kind.
    pub(super) kind: ObjectKind,
    /// Clusters that have it, by place in the configuration; the first's spec rules.
    pub(super) clusters: Vec<usize>,
    /// Its generation in each of them.
    pub(super) generations: Vec<i64>,
    /// In some cluster its status has parents that we told of.
    pub(super) was_reported: bool,
    /// What it wants to be attached to.
    pub(super) parents: &'a [ParentRef],
    /// Its hosts; empty = every one. Those that are no host names are left out.
    pub(super) hosts: BTreeSet<HostPattern>,
    /// It names hosts, but none that is a host name.
    pub(super) has_no_usable_host: bool,
    /// What it asks for.
    pub(super) spec: Spec<'a>,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spec<'a> {
    /// Requests.
    Http(&'a HTTPRouteSpec),
    /// Calls.
    Grpc(&'a GRPCRouteSpec),
    /// Connections.
    Stream(&'a [StreamRule]),
}

/// What kinds of routes differ in.
struct View<'a> {
    parents: &'a [ParentRef],
    hostnames: &'a [String],
    spec: Spec<'a>,
    status: Option<&'a RouteStatus>,
}

/// Whether a status has parents that we told of.
pub(in crate::lower) fn was_reported(status: Option<&RouteStatus>) -> bool {
    let parents = status.map(|it| it.parents.as_slice()).unwrap_or_default();
    parents.iter().any(|it| it.controller_name == GATEWAY_CONTROLLER)
}

/// The route of requests of this kind and key, if it is there.
pub(super) fn one<'a>(draft: &Draft<'a>, kind: ObjectKind, key: &ObjectKey) -> Option<Source<'a>> {
    match kind {
        ObjectKind::HttpRoute => find(draft, kind, key, |it| &it.http_routes, http),
        ObjectKind::GrpcRoute => find(draft, kind, key, |it| &it.grpc_routes, grpc),
        _ => None,
    }
}

fn find<'a, T: Resource + 'a>(
    draft: &Draft<'a>,
    kind: ObjectKind,
    key: &ObjectKey,
    store: impl Fn(&'a Objects) -> &'a Store<T>,
    view: impl Fn(&'a T) -> View<'a>,
) -> Option<Source<'a>> {
    let mut found: Option<Source<'a>> = None;
    for (index, cluster) in draft.world.clusters.iter().enumerate() {
        let Some((key, object)) = store(&cluster.objects).get_key_value(key) else { continue };
        let seen = view(object);
        let source = found.get_or_insert_with(|| Source::new(kind, key, &seen));
        source.add(index, &**object, seen.status);
    }
    found
}

fn http(it: &HTTPRoute) -> View<'_> {
    View {
        parents: &it.spec.parent_refs,
        hostnames: &it.spec.hostnames,
        spec: Spec::Http(&it.spec),
        status: it.status.as_ref(),
    }
}

fn grpc(it: &GRPCRoute) -> View<'_> {
    View {
        parents: &it.spec.parent_refs,
        hostnames: &it.spec.hostnames,
        spec: Spec::Grpc(&it.spec),
        status: it.status.as_ref(),
    }
}

/// All routes, the oldest first; among equals by namespace and name (Gateway API, conflicts).
pub(super) fn all<'a>(draft: &Draft<'a>) -> Vec<Source<'a>> {
    let mut all = Vec::new();
    collect(&mut all, ObjectKind::HttpRoute, draft.index.merged(|it| &it.http_routes), http);
    collect(&mut all, ObjectKind::GrpcRoute, draft.index.merged(|it| &it.grpc_routes), grpc);
    collect(&mut all, ObjectKind::TlsRoute, draft.index.merged(|it| &it.tls_routes), |it| View {
        parents: &it.spec.parent_refs,
        hostnames: &it.spec.hostnames,
        spec: Spec::Stream(&it.spec.rules),
        status: it.status.as_ref(),
    });
    collect(&mut all, ObjectKind::TcpRoute, draft.index.merged(|it| &it.tcp_routes), |it| View {
        parents: &it.spec.parent_refs,
        hostnames: &[],
        spec: Spec::Stream(&it.spec.rules),
        status: it.status.as_ref(),
    });
    collect(&mut all, ObjectKind::UdpRoute, draft.index.merged(|it| &it.udp_routes), |it| View {
        parents: &it.spec.parent_refs,
        hostnames: &[],
        spec: Spec::Stream(&it.spec.rules),
        status: it.status.as_ref(),
    });
    all.sort_by(Source::compare);
    all
}

fn collect<'a, T: Resource>(
    all: &mut Vec<Source<'a>>,
    kind: ObjectKind,
    objects: Merged<'a, T>,
    view: impl Fn(&'a T) -> View<'a>,
) {
    for (key, objects) in objects {
        let mut objects = objects.into_iter();
        let Some((cluster, first)) = objects.next() else { continue };
        let seen = view(first);
        let mut source = Source::new(kind, key, &seen);
        source.add(cluster, first, seen.status);
        for (cluster, object) in objects {
            source.add(cluster, object, view(object).status);
        }
        all.push(source);
    }
}

impl<'a> Source<'a> {
    fn new(kind: ObjectKind, key: &'a ObjectKey, seen: &View<'a>) -> Self {
        let hosts: BTreeSet<_> = seen.hostnames.iter().filter_map(|it| it.parse().ok()).collect();
        Self {
            age: u64::MAX,
            key,
            kind,
            clusters: Vec::new(),
            generations: Vec::new(),
            was_reported: false,
            parents: seen.parents,
            has_no_usable_host: hosts.is_empty() && !seen.hostnames.is_empty(),
            hosts,
            spec: seen.spec,
        }
    }

    /// Whether it is about requests, not about connections.
    pub(super) fn is_of_requests(&self) -> bool {
        matches!(self.spec, Spec::Http(_) | Spec::Grpc(_))
    }

    fn add(&mut self, cluster: usize, object: &impl Resource, status: Option<&RouteStatus>) {
        let meta = object.meta();
        if self.clusters.is_empty() {
            self.age = created(object);
        }
        self.clusters.push(cluster);
        self.generations.push(meta.generation.unwrap_or_default());
        self.was_reported |= was_reported(status);
    }

    /// Its name in `Desired`: `HTTPRoute/NAMESPACE/NAME`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.kind.name(), self.key)
    }

    fn compare(&self, other: &Self) -> Ordering {
        fn text<'k>(it: &Source<'k>) -> impl Iterator<Item = u8> + use<'k> {
            it.key.namespace.bytes().chain([b'/']).chain(it.key.name.bytes())
        }
        let age = self.age.cmp(&other.age);
        age.then_with(|| text(self).cmp(text(other))).then_with(|| self.kind.cmp(&other.kind))
    }
}
