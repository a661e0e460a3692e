//! `lbctl get clusters`. Only the daemon knows.

use super::{
    output::{Exit, Output},
    source,
    table::{Row, or_dash, span},
};
use crate::{
    admin::resource::List,
    kube::{ClusterProblem, ClusterReport, ClusterState},
    runtime::{Instance, wall_ms},
};
use anyhow::Result;
use std::collections::BTreeSet;

pub(super) fn run(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<ClusterReport> =
        source::ask(instance, async |client| client.get("/v1/clusters").await)?;
    output.list(&list)?;
    let is_well =
        list.items.iter().all(|it| it.state == ClusterState::Watching && it.problems.is_empty());
    Ok(if is_well { Exit::Done } else { Exit::Degraded })
}

impl Row for ClusterReport {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec!["CLUSTER", "STATE", "SINCE", "OBJECTS", "REASON", "LAST-ERROR"];
        if wide {
            headings.extend(["PROBLEMS", "FORBIDDEN", "MALFORMED", "BY-KIND"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let list = |names: Vec<String>| {
            let text = names.join(", ");
            or_dash((!text.is_empty()).then_some(text.as_str()))
        };
        let reasons: BTreeSet<_> = self.problems.iter().map(|it| it.reason.clone()).collect();
        let since = wall_ms().saturating_sub(self.since_ms);
        let mut cells = vec![
            self.name.clone(),
            self.saved_at_ms.map_or_else(
                || self.state.name().to_owned(),
                |at| format!("{} {}", self.state.name(), span(wall_ms().saturating_sub(at))),
            ),
            span(since),
            self.objects.values().sum::<usize>().to_string(),
            list(reasons.into_iter().collect()),
            or_dash(self.last_error.as_deref()),
        ];
        if wide {
            let told = |it: &ClusterProblem| format!("{} ({})", it.message, it.hint);
            cells.extend([
                list(self.problems.iter().map(told).collect()),
                list(self.forbidden.keys().cloned().collect()),
                list(self.malformed.keys().cloned().collect()),
                list(self.objects.iter().map(|(kind, count)| format!("{kind} {count}")).collect()),
            ]);
        }
        cells
    }
}
