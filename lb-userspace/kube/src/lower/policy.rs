//! Policies about how backends are spoken to: `BackendTLSPolicy`, `XBackendTrafficPolicy`.

use super::draft::Draft;
use crate::{ObjectId, api::ParentRef};
use std::collections::BTreeMap;

/// Gateways under which a policy is in use.
#[derive(Debug, Default)]
pub(super) struct Ancestors {
    /// By policy: ancestors, each with what is wrong.
    pub(super) of: BTreeMap<ObjectId, Vec<(ParentRef, Option<String>)>>,
}

/// Says of each policy under which Gateways it is in use.
pub(super) fn report(_draft: &mut Draft<'_>) {}
