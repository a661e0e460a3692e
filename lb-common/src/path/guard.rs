//! Source ranges: a VIP that has some serves only the clients in them. Every packet is judged, so
//! that a range that is taken away ends the flows of its clients too.

use super::{Detour, classify::find_vip, nat, parse};
use crate::{
    abi::{Features, VIP_FLAG_SOURCES, VipEntry, Words},
    packet::PacketView,
    tables::Tables,
    verdict::{Event, Outcome, Packed},
};

/// Whether a VIP has source ranges.
#[inline(always)]
pub(super) fn is_guarded<T: Tables>(tables: &T, vip: &VipEntry) -> bool {
    tables.features().has(Features::SOURCES) && vip.flags & VIP_FLAG_SOURCES != 0
}

/// Whether a VIP does not serve a client; counted if so.
#[inline(always)]
pub(super) fn refuses<T: Tables>(tables: &T, vip: &VipEntry, client: &Words) -> bool {
    let is_refused = is_guarded(tables, vip) && !tables.source_allowed(vip.index, client);
    if is_refused {
        tables.count_event(vip.index, Event::SourceRefused);
    }
    is_refused
}

/// Sends a client's packet to a guarded VIP on to the detour that serves it, or drops it.
#[inline(always)]
pub(super) fn admit<const V4: bool, V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let Some((ip, transport)) = parse::kept_flow(view, tables) else {
        return Packed::passed(Outcome::PassMalformed);
    };
    let port = transport.destination_port;
    let Some(vip) = find_vip::<V4, T>(tables, ip.destination, port, ip.protocol) else {
        return Packed::passed(Outcome::PassNotVip);
    };
    if refuses(tables, &vip, &ip.source) {
        return Packed::dropped(Outcome::DropSourceRefused);
    }
    if tables.features().has(Features::NAT) && nat::is_mode(vip.mode) {
        return Detour::Translate.needed::<V4>();
    }
    Detour::Flow.needed::<V4>()
}
