//! Which endpoints are near enough: hints of slices, and `trafficDistribution`.

use super::endpoints::{Health, Place};
use crate::Options;
use k8s_openapi::api::discovery::v1::Endpoint;

/// How far an endpoint is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) enum Distance {
    /// On this node.
    Node,
    /// In this zone.
    Zone,
    /// Anywhere, or nobody minds.
    #[default]
    Anywhere,
}

/// What a Service prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preference {
    SameNode,
    SameZone,
}

/// Says of the endpoints of one cluster how far they are. Hints count if every ready endpoint has
/// some (as kube-proxy does it); without them zone and node count if the Service prefers it.
pub(super) fn measure(places: &mut [Place<'_>], distribution: Option<&str>, options: &Options) {
    let preference = match distribution {
        Some("PreferClose" | "PreferSameZone") => Some(Preference::SameZone),
        Some("PreferSameNode") => Some(Preference::SameNode),
        _ => None,
    };
    let is_hinted = |has: fn(&Endpoint) -> bool| {
        let mut ready = places.iter().filter(|it| it.health == Health::Ready).peekable();
        ready.peek().is_some() && ready.all(|it| it.endpoint.is_some_and(has))
    };
    let has_nodes = is_hinted(|it| {
        let hints = it.hints.as_ref().and_then(|it| it.for_nodes.as_ref());
        hints.is_some_and(|it| !it.is_empty())
    });
    let has_zones = is_hinted(|it| {
        let hints = it.hints.as_ref().and_then(|it| it.for_zones.as_ref());
        hints.is_some_and(|it| !it.is_empty())
    });
    for place in places {
        let Some(endpoint) = place.endpoint else { continue };
        let is_node = if has_nodes {
            is_for_node(endpoint, options)
        } else {
            preference == Some(Preference::SameNode)
                && same(endpoint.node_name.as_ref(), options.node.as_ref())
        };
        let is_zone = if has_zones {
            is_for_zone(endpoint, options)
        } else {
            preference.is_some() && same(endpoint.zone.as_ref(), options.zone.as_ref())
        };
        place.distance = match (is_node, is_zone) {
            (true, _) => Distance::Node,
            (false, true) => Distance::Zone,
            (false, false) => Distance::Anywhere,
        };
    }
}

/// Whether both are known and equal.
fn same(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && one == other
}

fn is_for_node(endpoint: &Endpoint, options: &Options) -> bool {
    let hints = endpoint.hints.as_ref().and_then(|it| it.for_nodes.as_ref());
    hints.into_iter().flatten().any(|it| Some(&it.name) == options.node.as_ref())
}

fn is_for_zone(endpoint: &Endpoint, options: &Options) -> bool {
    let hints = endpoint.hints.as_ref().and_then(|it| it.for_zones.as_ref());
    hints.into_iter().flatten().any(|it| Some(&it.name) == options.zone.as_ref())
}
