//! The way of a request in words of clusters: DNS, Gateway, route, Service, endpoints.

use super::asked::Asked;
use crate::{
    admin::resource::{WhyObject, WhyRequest, WhyResource, object_name},
    kube::{EndpointCount, RouteReport, Told},
    model::HostPattern,
};
use std::{collections::BTreeSet, net::SocketAddr};

/// Routes that are not served, listed at most.
const UNSERVED_MAX: usize = 20;

/// Names the objects on the way that `why` followed.
pub fn name_objects(why: &mut WhyResource, request: &WhyRequest, told: &Told) {
    let Ok(asked) = Asked::new(request) else { return };
    if asked.address.is_none() {
        let served = why.address.iter().chain(&why.other_addresses);
        let addresses: BTreeSet<_> =
            served.filter_map(|it| it.parse::<SocketAddr>().ok()).map(|it| it.ip()).collect();
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        why.dns =
            (!addresses.is_empty()).then(|| format!("{} -> {}", asked.host, addresses.join(", ")));
    }
    let routes = told.routes();
    let taken = why.listeners.iter().find(|it| it.rejected.is_none());
    let mut objects: Vec<_> = taken.and_then(|it| parent(&it.listener, told)).into_iter().collect();
    let rule = why.rule.as_deref().map(object_name);
    let route = rule.and_then(|rule| route(rule, &routes));
    if route.is_some() {
        objects.extend(route);
        let upstreams = why.backends.iter().filter_map(|it| it.upstream.as_deref());
        objects.extend(upstreams.filter_map(|it| service(it, told)));
    }
    if why.refusal.is_some() {
        let wants = |it: &&RouteReport| {
            let hosts = it.hosts.iter().filter_map(|it| it.parse::<HostPattern>().ok());
            !it.reasons.is_empty() && hosts.into_iter().any(|it| it.matches(&asked.host))
        };
        let unserved = routes.iter().filter(wants).map(|it| named(it, vec![it.cluster.clone()]));
        objects.extend(unserved.take(UNSERVED_MAX));
    }
    objects.dedup();
    why.objects = objects;
}

/// The Gateway or class that a listener is of: `NS/GATEWAY/...` or `ingress/CLASS/...`.
fn parent(listener: &str, told: &Told) -> Option<WhyObject> {
    let (first, rest) = listener.split_once('/')?;
    let (name, _) = rest.split_once('/')?;
    let gateways = told.gateways();
    let same = gateways.iter().filter(|it| it.namespace == first && it.name == name);
    let same: Vec<_> = same.collect();
    let Some(gateway) = same.first() else {
        let is_class = first == "ingress" && !told.routes().is_empty();
        return is_class.then(|| WhyObject {
            object: format!("IngressClass {name}"),
            clusters: Vec::new(),
            endpoints: None,
            reason: None,
        });
    };
    Some(WhyObject {
        object: format!("Gateway {first}/{name}"),
        clusters: same.iter().map(|it| it.cluster.clone()).collect(),
        endpoints: None,
        reason: gateway.reason.clone(),
    })
}

fn route(rule: &str, routes: &[RouteReport]) -> Option<WhyObject> {
    let is_it = |it: &&RouteReport| format!("{}/{}/{}", it.kind, it.namespace, it.name) == rule;
    let same: Vec<_> = routes.iter().filter(is_it).collect();
    let first = same.first()?;
    Some(named(first, same.iter().map(|it| it.cluster.clone()).collect()))
}

fn named(report: &RouteReport, clusters: Vec<String>) -> WhyObject {
    let reason = report.reasons.join("; ");
    WhyObject {
        object: format!("{} {}/{}", report.kind, report.namespace, report.name),
        clusters,
        endpoints: None,
        reason: (!reason.is_empty()).then_some(reason),
    }
}

/// The Service that an upstream is of: `NS/SERVICE:PORT` and words about how it is spoken to.
fn service(upstream: &str, told: &Told) -> Option<WhyObject> {
    let (key, _) = upstream.split_once(':')?;
    let (namespace, name) = key.split_once('/')?;
    let backing = told.backing(namespace, name);
    let endpoints = backing.iter().fold(EndpointCount::default(), |sum, (_, it)| EndpointCount {
        ready: sum.ready + it.ready,
        total: sum.total + it.total,
    });
    let none = (endpoints.ready == 0).then(|| "NoEndpoints: none is ready".to_owned());
    (!backing.is_empty()).then(|| WhyObject {
        object: format!("Service {namespace}/{name}"),
        clusters: backing.into_iter().map(|it| it.0).collect(),
        endpoints: Some(endpoints),
        reason: none,
    })
}
