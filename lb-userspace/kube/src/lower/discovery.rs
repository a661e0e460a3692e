//! Hosts and paths made from namespaces and services.

use super::draft::Draft;

/// Makes the routes that [`crate::Discovery`] asks for.
pub(super) fn lower(_draft: &mut Draft<'_>) {}
