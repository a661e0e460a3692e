//! Routes of connections: TLSRoute, TCPRoute and UDPRoute.

use super::{
    attach::{Attachment, Parents, Target},
    backend::{Context, weight},
    fault::{Fault, Findings},
    forward,
    source::Source,
};
use crate::{ObjectKind, api::StreamRule, lower::draft::Draft};
use lb_model::{StreamBackend, StreamRoute};
use std::collections::{BTreeSet, HashSet};

/// Listeners that a TCPRoute or UDPRoute has: the oldest one, whatever else is attached (Gateway
/// API, conflicts).
#[derive(Debug, Default)]
pub(super) struct InForce(HashSet<usize>);

/// Lowers a route of connections. Its first rule is in force, others are told as dropped: such
/// routes have one (Gateway API v1.6, `rules`).
pub(super) fn lower<'a>(
    draft: &mut Draft<'a>,
    parents: &Parents<'_>,
    source: &Source<'a>,
    rules: &[StreamRule],
    attachments: &[Attachment<'a>],
    in_force: &mut InForce,
) -> Findings {
    let mut all = None;
    for mut target in parents.targets(attachments) {
        if source.kind != ObjectKind::TlsRoute {
            target.places.retain(|place| in_force.0.insert(*place));
        }
        let findings = lower_target(draft, parents, source, rules, &target, all.is_none());
        all.get_or_insert(findings);
    }
    all.unwrap_or_default()
}

fn lower_target<'a>(
    draft: &mut Draft<'a>,
    parents: &Parents<'_>,
    source: &Source<'a>,
    rules: &[StreamRule],
    target: &Target<'_>,
    is_first: bool,
) -> Findings {
    let mut findings = findings(rules);
    let Some(rule) = rules.first() else { return findings };
    let name = name(source, rule, target, is_first);
    let mut listeners = parents.names(target);
    let mut cx = Context { draft, source, target, findings: &mut findings };
    if source.kind != ObjectKind::TlsRoute {
        forward::take(&mut cx, rule, &name, &mut listeners);
    }
    // What nobody is served with by the proxy need not be there, but is looked for, to tell.
    let is_needed = !listeners.is_empty();
    cx.draft.uses.are_served = is_needed;
    let backends = backends(rule, &mut cx);
    draft.uses.are_served = true;
    if is_needed {
        insert(draft, source, name, listeners, backends);
    }
    findings
}

fn insert(
    draft: &mut Draft<'_>,
    source: &Source<'_>,
    name: String,
    listeners: BTreeSet<String>,
    backends: Vec<StreamBackend>,
) {
    let route = StreamRoute { listeners, hosts: source.hosts.clone(), age: source.age, backends };
    draft.desired.proxy.stream_routes.insert(name, route);
}

/// `TLSRoute/NAMESPACE/NAME/RULE`.
fn name(source: &Source<'_>, rule: &StreamRule, target: &Target<'_>, is_first: bool) -> String {
    let rule = rule.name.as_deref().unwrap_or("0");
    match target.certificate {
        Some(certificate) if !is_first => format!("{}/{rule} +cert:{certificate}", source.name()),
        _ => format!("{}/{rule}", source.name()),
    }
}

fn findings(rules: &[StreamRule]) -> Findings {
    let fault = |place| (place, Fault::value("only the first rule is in force"));
    Findings {
        rule_count: rules.len(),
        faults: (1..rules.len()).map(fault).collect(),
        unresolved: Vec::new(),
    }
}

fn backends(rule: &StreamRule, cx: &mut Context<'_, '_>) -> Vec<StreamBackend> {
    let mut backends = Vec::new();
    for backend in &rule.backend_refs {
        let upstream = cx.stream_upstream(backend);
        backends.push(StreamBackend { upstream, weight: weight(backend) });
    }
    backends
}
