//! Hosts and paths made from namespaces and services: no object says them, labels choose.

use super::{draft::Draft, upstream::Wanted};
use crate::{Discovery, DiscoveryRule, ObjectId, ObjectKey, ObjectKind, PREFIX, api::BackendRef};
use k8s_openapi::{
    api::core::v1::{Namespace, Service},
    jiff::Timestamp,
};
use lb_model::{
    Filters, HostPattern, PathMatch, RequestMatch, Route, RouteBackend, Rule, Upstream,
    UpstreamProtocol,
};
use std::collections::{BTreeMap, BTreeSet};

/// Makes the routes that [`Discovery`] asks for.
pub(super) fn lower(draft: &mut Draft<'_>) {
    let world = draft.world;
    let Some(discovery) = &world.options.discovery else { return };
    let mut found: BTreeMap<&ObjectKey, Vec<usize>> = BTreeMap::new();
    for (key, clusters) in draft.index.merged(|it| &it.services) {
        let chosen = clusters.iter().filter(|(cluster, service)| {
            let objects = &world.clusters.get(*cluster).map(|it| &it.objects);
            let namespaces = objects.map(|it| &it.namespaces);
            let key = ObjectKey::new("", &key.namespace);
            let namespace = namespaces.and_then(|it| it.get(&key));
            namespace.is_some_and(|it| is_chosen(discovery, it, service, world.now_seconds))
        });
        let chosen: Vec<usize> = chosen.map(|(cluster, _)| *cluster).collect();
        if !chosen.is_empty() {
            found.insert(key, chosen);
        }
    }
    for (key, clusters) in found {
        for (place, rule) in discovery.rules.iter().enumerate() {
            if rule.namespace.as_ref().is_none_or(|it| *it == key.namespace) {
                add(draft, rule, place, key, &clusters);
            }
        }
    }
}

fn is_chosen(discovery: &Discovery, namespace: &Namespace, service: &Service, now: u64) -> bool {
    holds(&discovery.namespace_labels, namespace.metadata.labels.as_ref())
        && holds(&discovery.service_labels, service.metadata.labels.as_ref())
        && service
            .spec
            .as_ref()
            .is_some_and(|it| it.ports.as_ref().is_some_and(|it| !it.is_empty()))
        && expires(discovery, namespace).is_none_or(|end| now < end)
}

/// When a namespace is left out: at the time of its annotation, else when it is too old.
fn expires(discovery: &Discovery, namespace: &Namespace) -> Option<u64> {
    let annotations = namespace.metadata.annotations.as_ref();
    let said = annotations.and_then(|it| it.get(&format!("{PREFIX}/expires")));
    let said = said.and_then(|it| it.parse::<Timestamp>().ok()).map(Timestamp::as_second);
    let created = namespace.metadata.creation_timestamp.as_ref().map(|it| it.0.as_second());
    let aged = || Some(created?.saturating_add_unsigned(discovery.lifetime?.as_secs()));
    said.or_else(aged).map(|it| u64::try_from(it).unwrap_or(0))
}

fn holds(wanted: &BTreeMap<String, String>, labels: Option<&BTreeMap<String, String>>) -> bool {
    wanted.iter().all(|(name, value)| labels.is_some_and(|it| it.get(name) == Some(value)))
}

fn add(
    draft: &mut Draft<'_>,
    rule: &DiscoveryRule,
    place: usize,
    key: &ObjectKey,
    clusters: &[usize],
) {
    let id = draft.id(clusters.first().copied().unwrap_or_default(), ObjectKind::Service, key);
    let filled =
        |text: &str| text.replace("{namespace}", &key.namespace).replace("{service}", &key.name);
    let host: HostPattern = match filled(&rule.host).parse() {
        Ok(host) => host,
        Err(error) => {
            let why = format!("{}: {error}", filled(&rule.host));
            return draft.warn(id, "DiscoveryRefused", why);
        }
    };
    let upstream = upstream(draft, rule, key, clusters, id);
    let file = &draft.world.file.proxy;
    let template = rule.template.as_ref().and_then(|it| file.routes.get(it));
    let template = template.and_then(|it| it.rules.first()).cloned().unwrap_or_default();
    let path = PathMatch::Prefix(filled(&rule.path));
    let made = Rule {
        name: None,
        matches: vec![RequestMatch { path, ..RequestMatch::default() }],
        backends: vec![RouteBackend { upstream, weight: 100, filters: Filters::default() }],
        ..template
    };
    let route = Route {
        listeners: rule.listeners.iter().cloned().collect(),
        hosts: BTreeSet::from([host]),
        age: place as u64,
        rules: vec![made],
    };
    draft.desired.proxy.routes.insert(format!("discovery/{key}/{place}"), route.into());
}

fn upstream(
    draft: &mut Draft<'_>,
    rule: &DiscoveryRule,
    key: &ObjectKey,
    clusters: &[usize],
    id: ObjectId,
) -> Option<String> {
    let backend = BackendRef {
        name: key.name.clone(),
        port: port(draft, rule, key, clusters),
        ..BackendRef::default()
    };
    let wanted = Wanted {
        clusters,
        referrer: ("", "Service"),
        namespace: &key.namespace,
        backend: &backend,
        protocol: UpstreamProtocol::Auto,
        is_stream: false,
        client_certificate: None,
        ancestors: &[],
    };
    let name = match draft.upstream(&wanted) {
        Ok(name) => name,
        Err(problem) => {
            draft.warn(id, problem.reason(), problem.to_string());
            return None;
        }
    };
    let templates = &draft.world.file.proxy.upstreams;
    let Some(template) = rule.upstream_template.as_ref().and_then(|it| templates.get_key_value(it))
    else {
        return Some(name);
    };
    let upstreams = &mut draft.desired.proxy.upstreams;
    let endpoints = upstreams.get(&name)?.endpoints.clone();
    let as_template = format!("{name} +{}", template.0);
    let upstream = Upstream { endpoints, ..Upstream::clone(template.1) };
    upstreams.insert(as_template.clone(), upstream.into());
    Some(as_template)
}

/// The port that the rule names or numbers, else the Service's first.
fn port(
    draft: &Draft<'_>,
    rule: &DiscoveryRule,
    key: &ObjectKey,
    clusters: &[usize],
) -> Option<u16> {
    let objects = clusters.first().and_then(|it| draft.cluster(*it)).map(|it| &it.objects)?;
    let spec = objects.services.get(key)?.spec.as_ref()?;
    let mut ports = spec.ports.iter().flatten();
    let found = match rule.port.as_deref() {
        None => ports.next(),
        Some(text) => {
            ports.find(|it| it.name.as_deref() == Some(text) || it.port.to_string() == text)
        }
    };
    found.and_then(|it| u16::try_from(it.port).ok())
}
