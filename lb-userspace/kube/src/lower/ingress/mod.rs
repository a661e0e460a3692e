//! Ingresses.

mod class;

pub(super) use class::Classes;

use super::draft::Draft;

/// Lowers the Ingresses of our classes.
pub(super) fn lower(_draft: &mut Draft<'_>) {}
