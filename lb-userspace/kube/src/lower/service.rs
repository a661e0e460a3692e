//! Services of type `LoadBalancer`.

use super::draft::Draft;

/// Lowers the Services of type `LoadBalancer`.
pub(super) fn lower(_draft: &mut Draft<'_>) {}
