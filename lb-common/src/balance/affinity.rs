//! Source-address affinity across ring changes. The ring already sends all flows of a client to
//! one backend; in a moved slot a client that was seen since the move is remembered, so that its
//! new flows follow its old ones.

use super::pick::{Flow, still_living};
use crate::{
    abi::{BackendEntry, BackendId, BackendState, Features, FlowKey, VIP_FLAG_AFFINITY, VipEntry},
    tables::{FlowTable, Tables},
    verdict::Decision,
};

/// The backend a known client stays with, if that takes new flows.
#[inline(always)]
pub(super) fn recall<'t, T: Tables>(
    tables: &'t T,
    vip: &VipEntry,
    flow: &Flow,
) -> Option<&'t BackendEntry> {
    if !applies(tables, vip) {
        return None;
    }
    let id = tables.flow_hit(FlowTable::Opened, &client_key(vip, &flow.key), false)?;
    still_living(tables, id).filter(|backend| backend.state == BackendState::Active as u8)
}

/// Remembers where a client's flow went.
#[inline(always)]
pub(super) fn remember<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    flow: &Flow,
    decision: Decision,
    backend: BackendId,
) {
    if applies(tables, vip) && matches!(decision, Decision::New | Decision::Previous) {
        tables.flow_store(FlowTable::Opened, &client_key(vip, &flow.key), backend);
    }
}

#[inline(always)]
fn applies<T: Tables>(tables: &T, vip: &VipEntry) -> bool {
    tables.features().has(Features::AFFINITY) && vip.flags & VIP_FLAG_AFFINITY != 0
}

/// The key of a client's record: no source port, and the VIP's index in the place of the other, so
/// that VIPs of one address do not share records.
#[inline(always)]
const fn client_key(vip: &VipEntry, key: &FlowKey) -> FlowKey {
    FlowKey { source_port: 0, destination_port: vip.index as u16, ..*key }
}
