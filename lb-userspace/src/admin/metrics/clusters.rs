//! What is known of clusters.

use super::{families, text::Text};
use crate::kube::{ClusterReport, ClusterState};

pub(super) fn write(text: &mut Text, clusters: &[ClusterReport]) {
    text.family(&families::CLUSTER_WATCHED);
    for cluster in clusters {
        text.sample(&[&cluster.name], u8::from(cluster.state == ClusterState::Watching));
    }
    text.family(&families::CLUSTER_SINCE);
    for cluster in clusters {
        text.sample(&[&cluster.name], cluster.since_ms / 1_000);
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
