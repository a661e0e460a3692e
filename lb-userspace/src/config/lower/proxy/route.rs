//! HTTP routes.

use super::{
    Context,
    listener::{is_http, word},
    names::{Kind, Taken, values},
    rule,
};
use crate::{
    config::{located::Located, schema},
    model::{HostPattern, Route, Shared},
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn all(list: &[schema::Route], cx: &mut Context<'_>) -> BTreeMap<String, Shared<Route>> {
    let mut taken = Taken::default();
    let mut routes = BTreeMap::new();
    for (age, file) in (0..).zip(list) {
        let name = taken.take("route", &file.name, cx.report);
        let route = one(file, age, cx);
        if let Some(name) = name {
            routes.insert(name, route.into());
        }
    }
    routes
}

fn one(file: &schema::Route, age: u64, cx: &mut Context<'_>) -> Route {
    let hosts = cx.hosts(super::list(file.hosts.as_ref()));
    let listeners = attached(&file.listeners, cx);
    for name in &listeners {
        let Some(facts) = cx.names.listeners.get(&name.value).cloned() else { continue };
        if is_http(facts.protocol) {
            some_host_is_served(name, &hosts, &facts.host, cx);
        } else {
            let message =
                format!("listener `{}` speaks `{}`, not HTTP", name.value, word(facts.protocol));
            cx.report.error(name.at, message, "attach a stream route: `stream_routes`");
        }
    }
    if file.rules.value.is_empty() {
        let hint = "add at least one, like `rules: [{ backends: [NAME] }]`";
        cx.report.error(file.rules.at, "a route without rules", hint);
    }
    rule::names_are_unique(&file.rules.value, cx);
    let rules = file.rules.value.iter().map(|file| rule::lower(file, cx)).collect();
    Route { listeners: values(listeners), hosts, age, rules }
}

/// The listeners that are there.
pub(super) fn attached(
    list: &Located<Vec<Located<String>>>,
    cx: &mut Context<'_>,
) -> Vec<Located<String>> {
    if list.value.is_empty() {
        let hint = "name at least one of the section `listeners`";
        cx.report.error(list.at, "a route without listeners", hint);
    }
    cx.references(Kind::Listener, &list.value)
}

/// A listener only gets requests for its own host.
pub(super) fn some_host_is_served(
    listener: &Located<String>,
    hosts: &BTreeSet<HostPattern>,
    served: &HostPattern,
    cx: &mut Context<'_>,
) {
    if !hosts.is_empty() && !hosts.iter().any(|host| host.intersects(served)) {
        cx.report.warning(
            listener.at,
            format!("no request ever comes here from listener `{}`", listener.value),
            format!("it serves `{served}`, which none of the route's hosts belongs to"),
        );
    }
}
