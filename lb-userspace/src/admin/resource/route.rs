//! `get routes`.

use super::Kind;
use crate::{
    kube::RouteReport,
    model::{
        FieldMatch, HostPattern, PathMatch, RequestMatch, Route, Rule, StreamRoute, ValueMatch,
    },
    proxy::snapshot::{Problem, Snapshot, rule_name},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A rule of an HTTP route, or a route of sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteResource {
    /// The route, and after a `/` the rule's name or place; a route of sessions has no rules.
    pub rule: String,
    /// Listeners that the route asks for.
    pub listeners: Vec<String>,
    /// Hosts; empty = every host of its listeners.
    pub hosts: Vec<String>,
    /// What requests must look like, one of these; empty = every request.
    pub matches: Vec<String>,
    /// Filters that do something, in order.
    pub filters: Vec<String>,
    /// Who answers.
    pub backends: Vec<RouteBackendResource>,
    /// What was counted; `null` for sessions, which are counted with their listener.
    pub requests: Option<RouteRequests>,
    /// What does not work, a sentence each; empty = all is well.
    pub problems: Vec<String>,
    /// The object of a cluster that it was made of; missing = the file says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<RouteObject>,
}

/// An object of a cluster, or of several that have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteObject {
    /// `HTTPRoute`, `Ingress`, ...
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The clusters that have it.
    pub clusters: Vec<String>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteBackendResource {
    /// The upstream; `null` = it is not there.
    pub upstream: Option<String>,
    /// Its share relative to the others.
    pub weight: u32,
}

/// What became of a rule's requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRequests {
    /// All of them.
    pub total: u64,
    /// Requests whose client went before there was a status.
    pub without_status: u64,
    /// Answered with 1xx: tunnels.
    pub informational: u64,
    /// Answered with 2xx.
    pub successful: u64,
    /// Answered with 3xx.
    pub redirected: u64,
    /// Answered with 4xx.
    pub client_errors: u64,
    /// Answered with 5xx.
    pub server_errors: u64,
    /// Responses that could not be written to their end.
    pub incomplete: u64,
    /// Milliseconds that half of the requests did not exceed, from a histogram; `null` = none yet.
    pub p50_ms: Option<f64>,
    /// Milliseconds that 99 of 100 requests did not exceed.
    pub p99_ms: Option<f64>,
}

impl Kind for RouteResource {
    const LIST: &'static str = "RouteList";
}

/// All rules, by route and place, then the routes of sessions.
pub fn routes(snapshot: &Snapshot, problems: &[Problem]) -> Vec<RouteResource> {
    let http = snapshot.wanted.routes.iter().flat_map(|(name, route)| {
        let rules = route.rules.iter().enumerate();
        rules.map(|(index, rule)| http_rule(snapshot, problems, (name, route), (index, rule)))
    });
    let sessions =
        snapshot.wanted.stream_routes.iter().map(|(name, route)| stream(problems, name, route));
    http.chain(sessions).collect()
}

fn http_rule(
    snapshot: &Snapshot,
    problems: &[Problem],
    (route_name, route): (&str, &Route),
    (index, rule): (usize, &Rule),
) -> RouteResource {
    let name = rule_name(route_name, index, rule);
    let backend = |upstream: &Option<String>, weight| RouteBackendResource {
        upstream: upstream.clone(),
        weight,
    };
    RouteResource {
        listeners: route.listeners.iter().cloned().collect(),
        hosts: hosts(&route.hosts),
        matches: rule.matches.iter().map(describe).collect(),
        filters: rule.filters.names().into_iter().map(ToOwned::to_owned).collect(),
        backends: rule.backends.iter().map(|it| backend(&it.upstream, it.weight)).collect(),
        requests: snapshot.rules.get(name.as_str()).map(|it| requests(&it.stats.sum())),
        problems: about(problems, &[route_name, &name]),
        object: None,
        rule: name,
    }
}

fn stream(problems: &[Problem], name: &str, route: &StreamRoute) -> RouteResource {
    let backends = route
        .backends
        .iter()
        .map(|it| RouteBackendResource { upstream: it.upstream.clone(), weight: it.weight });
    RouteResource {
        rule: name.to_owned(),
        listeners: route.listeners.iter().cloned().collect(),
        hosts: hosts(&route.hosts),
        matches: Vec::new(),
        filters: Vec::new(),
        backends: backends.collect(),
        requests: None,
        problems: about(problems, &[name]),
        object: None,
    }
}

/// Names the objects that rules were made of, with what is wrong with those; objects of which
/// nothing was made come last.
pub fn with_objects(mut rules: Vec<RouteResource>, reports: &[RouteReport]) -> Vec<RouteResource> {
    let mut objects: BTreeMap<String, (RouteObject, &RouteReport, bool)> = BTreeMap::new();
    for report in reports {
        let name = format!("{}/{}/{}", report.kind, report.namespace, report.name);
        let object = || RouteObject {
            kind: report.kind.clone(),
            namespace: report.namespace.clone(),
            name: report.name.clone(),
            clusters: Vec::new(),
        };
        let (object, ..) = objects.entry(name).or_insert_with(|| (object(), report, false));
        object.clusters.push(report.cluster.clone());
    }
    for rule in &mut rules {
        let Some((object, report, is_served)) = objects.get_mut(object_name(&rule.rule)) else {
            continue;
        };
        *is_served = true;
        rule.object = Some(object.clone());
        rule.problems.extend(report.reasons.iter().cloned());
    }
    let unserved = objects.into_iter().filter(|(_, it)| !it.2 && !it.1.reasons.is_empty());
    rules.extend(unserved.map(|(rule, (object, report, _))| RouteResource {
        rule,
        listeners: Vec::new(),
        hosts: report.hosts.clone(),
        matches: Vec::new(),
        filters: Vec::new(),
        backends: Vec::new(),
        requests: None,
        problems: report.reasons.clone(),
        object: Some(object),
    }));
    rules
}

/// `KIND/NAMESPACE/NAME` of what is named `KIND/NAMESPACE/NAME/RULE`.
pub(in crate::admin) fn object_name(rule: &str) -> &str {
    let end = rule.match_indices('/').nth(2).map_or(rule.len(), |it| it.0);
    rule.get(..end).unwrap_or(rule)
}

fn requests(sum: &crate::proxy::account::RuleSum) -> RouteRequests {
    let [without_status, informational, successful, redirected, client_errors, server_errors] =
        sum.classes;
    let milliseconds = |share| sum.duration.quantile_s(share).map(|seconds| seconds * 1e3);
    RouteRequests {
        total: sum.requests(),
        without_status,
        informational,
        successful,
        redirected,
        client_errors,
        server_errors,
        incomplete: sum.incomplete,
        p50_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
    }
}

fn hosts(hosts: &BTreeSet<HostPattern>) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

fn about(problems: &[Problem], names: &[&str]) -> Vec<String> {
    let is_about = |it: &&Problem| {
        it.object.strip_prefix("route ").is_some_and(|object| names.contains(&object))
    };
    problems.iter().filter(is_about).map(|it| it.why.clone()).collect()
}

/// A match in words: `GET prefix /a header x-a=b query c~d`.
pub(in crate::admin) fn describe(wanted: &RequestMatch) -> String {
    let mut words: Vec<String> = wanted.method.iter().cloned().collect();
    words.push(describe_path(&wanted.path));
    words.extend(wanted.headers.iter().map(|it| format!("header {}", describe_field(it))));
    words.extend(wanted.query.iter().map(|it| format!("query {}", describe_field(it))));
    words.join(" ")
}

/// A path in words: `exact /a`.
fn describe_path(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("exact {path}"),
        PathMatch::Prefix(path) => format!("prefix {path}"),
        PathMatch::PrefixIgnoreCase(path) => format!("prefix (any case) {path}"),
        PathMatch::Regex(text) => format!("regex {text}"),
        PathMatch::Method(method) => format!("gRPC method {method}"),
    }
}

fn describe_field(field: &FieldMatch) -> String {
    match &field.value {
        ValueMatch::Exact(value) => format!("{}={value}", field.name),
        ValueMatch::Regex(text) => format!("{}~{text}", field.name),
        ValueMatch::Present => field.name.clone(),
    }
}
