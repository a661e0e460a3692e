//! `get clusters`, and of their objects.

use super::Kind;
use crate::kube::{ClusterReport, ClusterState, GatewayReport, ServiceReport};

impl Kind for ClusterReport {
    const LIST: &'static str = "ClusterList";
}

impl Kind for GatewayReport {
    const LIST: &'static str = "GatewayList";
}

impl Kind for ServiceReport {
    const LIST: &'static str = "ServiceList";
}

/// Why clusters are not as they should be, a line each.
pub fn degraded(clusters: &[ClusterReport]) -> Vec<String> {
    let away = clusters.iter().filter(|it| it.state != ClusterState::Watching);
    let told = away.map(|it| {
        let ClusterReport { name, state, last_error, .. } = it;
        let why = last_error.as_deref().unwrap_or("it has not been read yet");
        match state {
            ClusterState::Saved => format!("cluster {name} is served as it was saved: {why}"),
            state => format!("cluster {name} is {}: {why}", state.name()),
        }
    });
    told.collect()
}
