//! Routes of TCP, TLS and UDP listeners.

use super::{
    Context,
    listener::{is_http, word},
    names::{Taken, values},
    route, rule,
};
use crate::{
    config::{located::Located, lower::scalar, schema},
    model::{HostPattern, StreamBackend, StreamRoute},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which host of which listener has a route, and where that is said.
type Claims = HashMap<(String, HostPattern), crate::config::diagnostic::Position>;

pub(super) fn all(
    list: &[schema::StreamRoute],
    cx: &mut Context<'_>,
) -> BTreeMap<String, StreamRoute> {
    let mut taken = Taken::default();
    let mut claims = Claims::new();
    let mut routes = BTreeMap::new();
    for (age, file) in (0..).zip(list) {
        let name = taken.take("stream route", &file.name, cx.report);
        let route = one(file, age, &mut claims, cx);
        if let Some(name) = name {
            routes.insert(name, route);
        }
    }
    routes
}

fn one(
    file: &schema::StreamRoute,
    age: u64,
    claims: &mut Claims,
    cx: &mut Context<'_>,
) -> StreamRoute {
    let hosts = cx.hosts(super::list(file.hosts.as_ref()));
    let listeners = route::attached(&file.listeners, cx);
    for name in &listeners {
        attach(name, file, &hosts, claims, cx);
    }
    StreamRoute { listeners: values(listeners), hosts, age, backends: backends(file, cx) }
}

fn attach(
    name: &Located<String>,
    file: &schema::StreamRoute,
    hosts: &BTreeSet<HostPattern>,
    claims: &mut Claims,
    cx: &mut Context<'_>,
) {
    let Some(facts) = cx.names.listeners.get(&name.value).cloned() else { return };
    let spoken = word(facts.protocol);
    if is_http(facts.protocol) {
        let message = format!("listener `{}` speaks `{spoken}`", name.value);
        cx.report.error(name.at, message, "attach a route for its requests: `routes`");
        return;
    }
    if matches!(facts.protocol, schema::ListenerProtocol::Tls) {
        route::some_host_is_served(name, hosts, &facts.host, cx);
    } else if let Some(host) = super::list(file.hosts.as_ref()).first() {
        let message = format!("listener `{}` speaks `{spoken}`, which tells no host", name.value);
        cx.report.error(host.at, message, "remove `hosts`");
        return;
    }
    let any = BTreeSet::from([HostPattern::Any]);
    for host in if hosts.is_empty() { &any } else { hosts } {
        if let Some(other) = claims.insert((name.value.clone(), host.clone()), name.at) {
            let message = match host {
                HostPattern::Any => format!("listener `{}` has a route already", name.value),
                host => format!("listener `{}` has a route for `{host}` already", name.value),
            };
            cx.report.error(name.at, message, scalar::other_at(other));
        }
    }
}

fn backends(file: &schema::StreamRoute, cx: &mut Context<'_>) -> Vec<StreamBackend> {
    let list = &file.backends;
    if list.value.is_empty() {
        let hint = "name an upstream of the section `upstreams`";
        cx.report.error(list.at, "no backend is listed", hint);
    }
    rule::not_too_many(Some(list.at), list.value.len(), cx);
    let mut places = HashMap::new();
    let mut backends = Vec::new();
    for file in &list.value {
        let (name, weight) = match &file.value {
            schema::TextOr::Text(name) => (Located { value: name.clone(), at: file.at }, None),
            schema::TextOr::Full(it) => (it.upstream.clone(), it.weight.as_ref()),
        };
        let weight = rule::weight(weight, cx);
        rule::refer_once(&name, true, &mut places, cx);
        backends.push(StreamBackend { upstream: Some(name.value), weight });
    }
    backends
}
