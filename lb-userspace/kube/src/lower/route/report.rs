//! What is said of a route.

use super::{
    attach::Attachment,
    fault::{Findings, Unresolved},
    source::Source,
};
use crate::{Condition, ParentReport, Status, lower::draft::Draft};

/// References and rules that a message names, at most.
const NAMED_MAX: usize = 4;

/// Says what came of a route under each of its parents, in every cluster that has it.
pub(super) fn report(
    draft: &mut Draft<'_>,
    source: &Source<'_>,
    attachments: &[Attachment<'_>],
    findings: &Findings,
) {
    for (cluster, generation) in source.clusters.iter().zip(&source.generations) {
        let reports = attachments.iter().map(|it| ParentReport {
            parent: it.parent.clone(),
            conditions: conditions(it, findings, *generation),
        });
        let id = draft.id(*cluster, source.kind, source.key);
        draft.tell(id, Status::Parents(reports.collect()));
    }
}

/// Takes back what was said of a route that no longer names a parent of ours.
pub(super) fn none(draft: &mut Draft<'_>, source: &Source<'_>) {
    if source.was_reported {
        report(draft, source, &[], &Findings::default());
    }
}

fn conditions(attachment: &Attachment<'_>, findings: &Findings, generation: i64) -> Vec<Condition> {
    let condition = |kind, holds, reason, message| Condition {
        kind,
        holds: Some(holds),
        reason,
        message,
        generation,
    };
    let accepted = match attachment.refusal() {
        None => condition("Accepted", true, "Accepted", "the route is attached".to_owned()),
        Some(it) => condition("Accepted", false, it.reason, it.message.clone()),
    };
    let resolved = match findings.unresolved.first() {
        None => {
            let message = "every reference leads somewhere".to_owned();
            condition("ResolvedRefs", true, "ResolvedRefs", message)
        }
        Some(first) => {
            condition("ResolvedRefs", false, first.reason, unresolved(&findings.unresolved))
        }
    };
    let mut conditions = vec![accepted, resolved];
    if attachment.refusal().is_none() && !findings.faults.is_empty() {
        let message = dropped(findings);
        conditions.push(condition("PartiallyInvalid", true, "UnsupportedValue", message));
    }
    conditions
}

fn unresolved(all: &[Unresolved]) -> String {
    let mut messages: Vec<&str> = Vec::new();
    for it in all {
        if !messages.contains(&it.message.as_str()) && messages.len() < NAMED_MAX {
            messages.push(&it.message);
        }
    }
    messages.join("; ")
}

/// Begins as the Gateway API wants it (`RouteConditionPartiallyInvalid`).
fn dropped(findings: &Findings) -> String {
    let one = |(place, fault): &(usize, super::fault::Fault)| format!("{place}: {}", fault.message);
    let named: Vec<_> = findings.faults.iter().take(NAMED_MAX).map(one).collect();
    format!("Dropped Rule {}", named.join("; "))
}
