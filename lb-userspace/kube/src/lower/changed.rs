//! How one world differs from the one before.

use super::{gateway::is_for_gateway, index::service_of, is_service_ours, route::was_reported};
use crate::{
    Cluster, ObjectKey, ObjectKind, Objects, Options, Store, World,
    api::{GRPCRoute, Gateway, HTTPRoute, RouteStatus},
};
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::Resource;
use std::{collections::BTreeSet, sync::Arc};

/// How a world differs from the one before, if it differs only in what is followed one by one:
/// routes of requests, and where backends are.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Routes of requests.
    pub(super) routes: BTreeSet<(ObjectKind, ObjectKey)>,
    /// Services, or slices of them.
    pub(super) services: BTreeSet<ObjectKey>,
    /// Slices by the place of their cluster, with the Services that they belonged and belong to.
    pub(super) slices: Vec<(usize, ObjectKey, [Option<ObjectKey>; 2])>,
}

impl Changed {
    /// `None` = they differ in something else, too.
    pub(super) fn between(before: &World, world: &World) -> Option<Self> {
        let World { options, file, clusters, leads, assigned, recalled, now_seconds: _ } = world;
        let is_same = Arc::ptr_eq(&before.options, options)
            && Arc::ptr_eq(&before.file, file)
            && before.leads == *leads
            && before.assigned == *assigned
            && before.recalled == *recalled
            && before.clusters.len() == clusters.len()
            // What is discovered depends on the time.
            && options.discovery.is_none();
        if !is_same {
            return None;
        }
        let mut changed = Self::default();
        for (place, pair) in before.clusters.iter().zip(clusters).enumerate() {
            let (before, cluster) = pair;
            if before.name != cluster.name || before.weight != cluster.weight {
                return None;
            }
            changed.take(place, before, cluster, options)?;
        }
        Some(changed)
    }

    fn take(
        &mut self,
        place: usize,
        before: &Cluster,
        cluster: &Cluster,
        options: &Options,
    ) -> Option<()> {
        let (before, objects) = (&before.objects, &cluster.objects);
        if !are_others_same(before, objects) {
            return None;
        }
        let told = |one: &Arc<HTTPRoute>, it: &Arc<HTTPRoute>| {
            is_told_only(&**one, &**it, |it| it.status.as_ref())
        };
        self.take_routes(ObjectKind::HttpRoute, &before.http_routes, &objects.http_routes, told);
        let told = |one: &Arc<GRPCRoute>, it: &Arc<GRPCRoute>| {
            is_told_only(&**one, &**it, |it| it.status.as_ref())
        };
        self.take_routes(ObjectKind::GrpcRoute, &before.grpc_routes, &objects.grpc_routes, told);
        for change in objects.services.changes(&before.services, Arc::ptr_eq) {
            let both = change.before.into_iter().chain(change.after);
            if both.into_iter().any(|it| is_special(it, options)) {
                return None;
            }
            self.services.insert(change.key.clone());
        }
        for change in objects.endpoint_slices.changes(&before.endpoint_slices, Arc::ptr_eq) {
            let service = |it: &Arc<EndpointSlice>| service_of(change.key, it);
            let services = [change.before.and_then(service), change.after.and_then(service)];
            self.services.extend(services.iter().flatten().cloned());
            let both = change.before.into_iter().chain(change.after);
            if both.into_iter().any(|it| is_for_gateway(&it.metadata)) {
                return None;
            }
            self.slices.push((place, change.key.clone(), services));
        }
        Some(())
    }

    fn take_routes<T>(
        &mut self,
        kind: ObjectKind,
        before: &Store<T>,
        routes: &Store<T>,
        is_same: impl Fn(&Arc<T>, &Arc<T>) -> bool,
    ) {
        let changes = routes.changes(before, is_same);
        self.routes.extend(changes.iter().map(|it| (kind, it.key.clone())));
    }
}

/// Whether all that is not followed one by one is as before.
fn are_others_same(before: &Objects, objects: &Objects) -> bool {
    let Objects {
        namespaces,
        services: _,
        endpoint_slices: _,
        secrets,
        config_maps,
        ingress_classes,
        ingresses,
        gateway_classes,
        gateways,
        listener_sets,
        http_routes: _,
        grpc_routes: _,
        tls_routes,
        tcp_routes,
        udp_routes,
        reference_grants,
        backend_tls_policies,
        traffic_policies,
        backends,
        address_pools,
    } = objects;
    is_as(namespaces, &before.namespaces, is_same_namespace)
        && is_as(secrets, &before.secrets, |_, _| false)
        && is_as(config_maps, &before.config_maps, |_, _| false)
        && is_as(ingress_classes, &before.ingress_classes, |_, _| false)
        && is_as(ingresses, &before.ingresses, |one, it| {
            asks_the_same(one, it) && one.status == it.status
        })
        && is_as(gateway_classes, &before.gateway_classes, asks_the_same)
        && is_as(gateways, &before.gateways, is_same_gateway)
        && is_as(listener_sets, &before.listener_sets, asks_the_same)
        && is_as(tls_routes, &before.tls_routes, |one, it| {
            is_told_only(one, it, |it| it.status.as_ref())
        })
        && is_as(tcp_routes, &before.tcp_routes, |one, it| {
            is_told_only(one, it, |it| it.status.as_ref())
        })
        && is_as(udp_routes, &before.udp_routes, |one, it| {
            is_told_only(one, it, |it| it.status.as_ref())
        })
        && is_as(reference_grants, &before.reference_grants, asks_the_same)
        && is_as(backend_tls_policies, &before.backend_tls_policies, asks_the_same)
        && is_as(traffic_policies, &before.traffic_policies, asks_the_same)
        && is_as(backends, &before.backends, asks_the_same)
        && is_as(address_pools, &before.address_pools, asks_the_same)
}

fn is_as<T>(store: &Store<T>, before: &Store<T>, is_same: impl Fn(&T, &T) -> bool) -> bool {
    let is_same = |one: &Arc<T>, it: &Arc<T>| Arc::ptr_eq(one, it) || is_same(one, it);
    store.changes(before, is_same).is_empty()
}

/// Whether nothing but the status differs. The generation counts changes of the rest.
pub(crate) fn asks_the_same<T: Resource>(before: &T, after: &T) -> bool {
    let (before, after) = (before.meta(), after.meta());
    before.generation.is_some()
        && before.generation == after.generation
        && before.uid == after.uid
        && before.labels == after.labels
        && before.annotations == after.annotations
        && before.deletion_timestamp == after.deletion_timestamp
}

fn is_told_only<T: Resource>(
    before: &T,
    after: &T,
    status: impl Fn(&T) -> Option<&RouteStatus>,
) -> bool {
    std::ptr::eq(before, after)
        || asks_the_same(before, after)
            && was_reported(status(before)) == was_reported(status(after))
}

/// Of a Gateway's status the addresses count: it keeps them.
fn is_same_gateway(before: &Gateway, after: &Gateway) -> bool {
    let addresses = |it: &Gateway| {
        let status = it.status.as_ref();
        let addresses = status.into_iter().flat_map(|it| &it.addresses);
        addresses.map(|it| it.value.clone()).collect::<Vec<_>>()
    };
    asks_the_same(before, after) && addresses(before) == addresses(after)
}

fn is_same_namespace(before: &Namespace, after: &Namespace) -> bool {
    let (before, after) = (&before.metadata, &after.metadata);
    before.labels == after.labels
        && before.annotations == after.annotations
        && before.creation_timestamp == after.creation_timestamp
}

/// Services that are more than backends: they have addresses, or stand for a Gateway.
fn is_special(service: &Service, options: &Options) -> bool {
    service.spec.as_ref().is_some_and(|it| is_service_ours(it, options))
        || is_for_gateway(&service.metadata)
}
