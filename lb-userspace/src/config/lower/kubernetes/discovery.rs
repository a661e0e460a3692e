//! Hosts and paths made from namespaces and services.

use super::{labels, object_name};
use crate::{
    config::{diagnostic::Report, located::Located, lower::scalar, schema},
    kube::{Discovery, DiscoveryRule},
};
use std::{ops::RangeInclusive, time::Duration};

/// How long namespaces may live.
const LIFETIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 365);

/// What is filled in.
const FILLED: [&str; 2] = ["{namespace}", "{service}"];

pub(super) fn lower(
    said: &schema::Discovery,
    file: &schema::File,
    report: &mut Report,
) -> Discovery {
    let rules = &said.rules;
    if rules.value.is_empty() {
        let hint = "say which host and path a Service gets, like `host: \"{service}.example\"`";
        report.error(rules.at, "discovery without rules", hint);
    }
    Discovery {
        namespace_labels: labels(said.namespace_labels.as_ref()),
        service_labels: labels(said.service_labels.as_ref()),
        lifetime: said
            .lifetime
            .as_ref()
            .and_then(|text| scalar::duration("lifetime", text, LIFETIME, report)),
        rules: rules.value.iter().filter_map(|it| rule(it, file, report)).collect(),
    }
}

fn rule(
    said: &schema::DiscoveryRule,
    file: &schema::File,
    report: &mut Report,
) -> Option<DiscoveryRule> {
    let listeners = file.listeners.iter().flatten().map(|it| &it.name.value);
    let known: Vec<&String> = listeners.collect();
    for name in &said.listeners {
        refers("listener", "listeners", name, &known, report);
    }
    if let Some(name) = &said.template {
        let routes: Vec<_> = file.routes.iter().flatten().map(|it| &it.name.value).collect();
        refers("route", "routes", name, &routes, report);
    }
    if let Some(name) = &said.upstream_template {
        let known: Vec<_> = file.upstreams.iter().flatten().map(|it| &it.name.value).collect();
        refers("upstream", "upstreams", name, &known, report);
    }
    Some(DiscoveryRule {
        listeners: said.listeners.iter().map(|it| it.value.clone()).collect(),
        namespace: said.namespace.as_ref().and_then(|it| object_name(it, report)),
        host: host(&said.host, report)?,
        path: path(said.path.as_ref(), report)?,
        template: said.template.as_ref().map(|it| it.value.clone()),
        upstream_template: said.upstream_template.as_ref().map(|it| it.value.clone()),
        port: said.port.as_ref().map(|it| it.value.clone()),
    })
}

fn refers(
    what: &str,
    section: &str,
    name: &Located<String>,
    known: &[&String],
    report: &mut Report,
) {
    if !known.contains(&&name.value) {
        let hint = format!("names of {section} are those of the section `{section}` of this file");
        report.error(name.at, format!("there is no {what} `{}`", name.value), hint);
    }
}

/// A host, with what is filled in standing for a label.
fn host(text: &Located<String>, report: &mut Report) -> Option<String> {
    let filled = FILLED.iter().fold(text.value.clone(), |it, word| it.replace(word, "x"));
    let parsed: Result<crate::model::HostPattern, _> = filled.parse();
    if !matches!(parsed, Ok(crate::model::HostPattern::Exact(_))) {
        let hint = "like `{service}.{namespace}.example`";
        report.error(text.at, format!("`{}` does not make host names", text.value), hint);
        return None;
    }
    Some(text.value.to_ascii_lowercase())
}

fn path(text: Option<&Located<String>>, report: &mut Report) -> Option<String> {
    let Some(text) = text else { return Some("/".to_owned()) };
    if !text.value.starts_with('/') || text.value.contains(['?', '#', ' ']) {
        let hint = "like `/{namespace}/{service}`";
        report.error(text.at, format!("`{}` does not make paths", text.value), hint);
        return None;
    }
    Some(text.value.clone())
}
