//! Routes of all kinds: attached to listeners, and lowered.

use super::{draft::Draft, gateway::Gateways};

/// Attaches and lowers the routes of all kinds.
pub(super) fn lower(_draft: &mut Draft<'_>, _gateways: &mut Gateways) {}
