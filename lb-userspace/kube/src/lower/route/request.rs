//! Routes of requests: HTTPRoute and GRPCRoute.

use super::{
    attach::{Attachment, Parents},
    backend::Context,
    fault::{Failure, Fault, Findings},
    grpc, http,
    source::{Source, Spec},
};
use crate::lower::draft::Draft;
use lb_model::{RequestMatch, Route, Rule};
use std::collections::HashSet;

/// Lowers a route of requests. One whose Gateways show backends several certificates becomes
/// several: their upstreams differ.
pub(super) fn lower<'a>(
    draft: &mut Draft<'a>,
    parents: &Parents<'_>,
    source: &Source<'a>,
    attachments: &[Attachment<'a>],
) -> Findings {
    let mut all = None;
    for target in parents.targets(attachments) {
        let listeners = parents.names(&target);
        // What nobody is served with need not be there, but is looked for, to tell.
        draft.uses.are_served = !listeners.is_empty();
        let mut findings = Findings::default();
        let rules = rules(&mut Context { draft, source, target: &target, findings: &mut findings });
        let are_served = std::mem::replace(&mut draft.uses.are_served, true);
        if are_served && findings.refusal().is_none() && !rules.is_empty() {
            let hosts = source.hosts.clone();
            let name = match (&all, target.certificate) {
                (Some(_), Some(certificate)) => format!("{} +cert:{certificate}", source.name()),
                _ => source.name(),
            };
            let route = Route { listeners, hosts, age: source.age, rules };
            draft.uses.routes.push(name.clone());
            draft.desired.proxy.routes.insert(name, route.into());
        }
        all.get_or_insert(findings);
    }
    all.unwrap_or_default()
}

fn rules(cx: &mut Context<'_, '_>) -> Vec<Rule> {
    let mut rules = match cx.source.spec {
        Spec::Http(spec) => all(&spec.rules, cx, http::matches, http::actions),
        Spec::Grpc(spec) => all(&spec.rules, cx, grpc::matches, grpc::actions),
        Spec::Stream(_) => Vec::new(),
    };
    let mut names = HashSet::new();
    for rule in &mut rules {
        if rule.name.as_ref().is_some_and(|name| !names.insert(name.clone())) {
            rule.name = None;
        }
    }
    rules
}

/// Lowers rules: first what they match, then what they do. A rule that cannot be done as it says
/// keeps its requests and answers them with 500: they must not go on to a rule that does less,
/// maybe without a filter that was to guard them.
fn all<T>(
    wanted: &[T],
    cx: &mut Context<'_, '_>,
    matches: impl Fn(&T) -> Result<Vec<RequestMatch>, Fault>,
    actions: impl Fn(&T, usize, &[RequestMatch], &mut Context<'_, '_>) -> Result<Rule, Failure>,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    cx.findings.rule_count = wanted.len();
    for (place, wanted) in wanted.iter().enumerate() {
        let matches = match matches(wanted) {
            Ok(matches) => matches,
            Err(fault) => {
                cx.findings.faults.push((place, fault));
                continue;
            }
        };
        let rule = match actions(wanted, place, &matches, cx) {
            Ok(rule) => rule,
            Err(Failure::Fault(fault)) => {
                cx.findings.faults.push((place, fault));
                Rule::default()
            }
            Err(Failure::Unresolved(why)) => {
                cx.note(why);
                Rule::default()
            }
            Err(Failure::Noted) => Rule::default(),
        };
        rules.push(Rule { matches, ..rule });
    }
    rules
}
