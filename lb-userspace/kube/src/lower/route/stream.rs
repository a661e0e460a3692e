//! Routes of connections: TLSRoute, TCPRoute and UDPRoute.

use super::{
    attach::{Attachment, Parents},
    backend::{Context, weight},
    fault::{Fault, Findings},
    source::Source,
};
use crate::{ObjectKind, api::StreamRule, lower::draft::Draft};
use lb_model::{StreamBackend, StreamRoute};
use std::{collections::HashSet, mem};

/// Listeners that a TCPRoute or UDPRoute has: the oldest one, whatever else is attached (Gateway
/// API, `TCPRoute`).
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
        let listeners = parents.names(&target);
        let aside = listeners.is_empty().then(|| mem::take(&mut draft.desired.proxy.upstreams));
        let mut findings = findings(rules);
        let mut cx = Context { draft, source, target: &target, findings: &mut findings };
        let backends = rules.first().map(|rule| backends(rule, &mut cx)).unwrap_or_default();
        if let Some(aside) = aside {
            draft.desired.proxy.upstreams = aside;
        } else if let Some(rule) = rules.first() {
            let hosts = source.hosts.clone();
            let place = rule.name.clone().unwrap_or_else(|| "0".to_owned());
            let name = match (&all, target.certificate) {
                (Some(_), Some(certificate)) => {
                    format!("{}/{place} +cert:{certificate}", source.name())
                }
                _ => format!("{}/{place}", source.name()),
            };
            let route = StreamRoute { listeners, hosts, age: source.age, backends };
            draft.desired.proxy.stream_routes.insert(name, route);
        }
        all.get_or_insert(findings);
    }
    all.unwrap_or_default()
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
