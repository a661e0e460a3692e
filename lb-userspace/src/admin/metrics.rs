//! Everything that is counted, in Prometheus' text format. Labels have as many values as the
//! configuration has objects: never a path, never a client.

mod clusters;
mod families;
mod packets;
mod proxy;
mod text;

use super::{View, resource::GenerationResource};
use crate::{kube::ClusterReport, proxy::snapshot::Snapshot};
use text::Text;

/// Media type of the text (Prometheus, "Exposition formats", text format 0.0.4).
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that is told.
pub(super) struct Counted<'a> {
    /// The packet path.
    pub(super) view: &'a View,
    /// The proxy.
    pub(super) snapshot: &'a Snapshot,
    /// Where the daemon stands.
    pub(super) generation: &'a GenerationResource,
    /// How the clusters are.
    pub(super) clusters: &'a [ClusterReport],
    /// Lines that the access log lost.
    pub(super) dropped_lines: u64,
}

/// The text.
pub(super) fn render(counted: &Counted<'_>) -> String {
    let mut text = Text::default();
    daemon(&mut text, counted);
    clusters::write(&mut text, counted.clusters);
    packets::write(&mut text, counted.view);
    proxy::write(&mut text, counted.snapshot);
    text.finish()
}

fn daemon(text: &mut Text, counted: &Counted<'_>) {
    let generation = counted.generation;
    text.family(&families::GENERATION);
    text.sample(&["applied"], generation.applied);
    if let Some(desired) = generation.desired {
        text.sample(&["desired"], desired);
    }
    text.family(&families::DEGRADED);
    text.sample(&[], generation.degraded.len());
    text.family(&families::LOG_DROPPED);
    text.sample(&[], counted.dropped_lines);
}

#[cfg(test)]
mod tests;
