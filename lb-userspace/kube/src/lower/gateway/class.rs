//! Classes of Gateways.

use super::Draft;
use crate::{GATEWAY_CONTROLLER, ObjectKey};

/// Whether Gateways of a class are ours.
pub(in crate::lower) fn is_ours(draft: &Draft<'_>, cluster: usize, class: &str) -> bool {
    draft
        .cluster(cluster)
        .and_then(|it| it.objects.gateway_classes.get(&ObjectKey::new("", class)))
        .is_some_and(|it| it.spec.controller_name == GATEWAY_CONTROLLER)
}
