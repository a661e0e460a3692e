//! What is said about GatewayClasses, Gateways and ListenerSets.

use super::{Draft, Gateways};

/// Says what came of each GatewayClass, Gateway and ListenerSet, when routes are attached.
pub(in crate::lower) fn report(_draft: &mut Draft<'_>, _gateways: &Gateways) {}
