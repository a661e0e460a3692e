//! What is known of clusters.

use super::{families, text::Text};
use crate::kube::{ClusterReport, ClusterState};
use std::collections::BTreeMap;

pub(super) fn write(text: &mut Text, clusters: &[ClusterReport]) {
    text.family(&families::CLUSTER_WATCHED);
    for cluster in clusters {
        text.sample(&[&cluster.name], u8::from(cluster.state == ClusterState::Watching));
    }
    text.family(&families::CLUSTER_SINCE);
    for cluster in clusters {
        text.sample(&[&cluster.name], cluster.since_ms / 1_000);
    }
    text.family(&families::CLUSTER_SAVED);
    for cluster in clusters {
        text.sample(&[&cluster.name], u8::from(cluster.state == ClusterState::Saved));
    }
    text.family(&families::CLUSTER_PROBLEMS);
    for cluster in clusters {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for problem in &cluster.problems {
            *counts.entry(&problem.reason).or_default() += 1;
        }
        for (reason, count) in counts {
            text.sample(&[&cluster.name, reason], count);
        }
    }
    text.family(&families::CLUSTER_OBJECTS);
    for cluster in clusters {
        for (kind, count) in &cluster.objects {
            text.sample(&[&cluster.name, kind], count);
        }
    }
    text.family(&families::CLUSTER_MALFORMED);
    for cluster in clusters {
        text.sample(&[&cluster.name], cluster.malformed.len());
    }
}
