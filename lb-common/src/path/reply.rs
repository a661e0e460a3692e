//! A translated flow's way back: from the backend to the client.

use super::{
    classify::flow_key,
    fragment,
    nat::{self, Translation},
    parse,
};
use crate::{
    abi::{BackendId, FragmentPath, Words, copied},
    packet::{Fragment, PacketView, ethernet},
    tables::{Route, Tables},
    verdict::{Decision, Outcome, Packed},
};

/// Translates a backend's reply and sends it to the client; anything else passes.
#[inline(always)]
pub(super) fn translate<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let Some((ip, transport)) = parse::flow_again::<V4, V, T>(view, tables) else {
        return Packed::passed(Outcome::PassMalformed);
    };
    let Some(reverse) = tables.nat_reverse_hit(&flow_key(&ip, &transport), transport.closes) else {
        return Packed::passed(Outcome::PassNotVip);
    };
    tables.note(|trace| trace.decision = Decision::Reply as u8);
    let translation = Translation {
        source: copied(&reverse.vip),
        destination: copied(&reverse.client),
        source_port: reverse.vip_port,
        destination_port: reverse.client_port,
    };
    if !matches!(ip.fragment, Fragment::Whole) {
        let (backend, path) = (reverse.backend, FragmentPath::Reply);
        if !fragment::learn_translated::<V4, T>(tables, &ip, backend, path, &translation) {
            return Packed::dropped(Outcome::DropFragmentUnknown);
        }
    }
    let ports = Some((transport.source_port, transport.destination_port));
    if let Err(reason) = nat::rewrite::<V4, V>(view, &ip, &translation, ports) {
        return Packed::dropped(reason);
    }
    to_client::<V4, V, T>(view, tables, &reverse.client, reverse.backend)
}

/// Sends a translated packet to the client by the host's routes. What the program cannot route,
/// the host's stack forwards: the packet already looks like the VIP's.
#[inline(always)]
pub(super) fn to_client<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    client: &Words,
    backend: BackendId,
) -> Packed {
    match tables.route(client, V4) {
        Route::Found(hop) => {
            tables.note(|trace| {
                trace.backend = backend.index();
                trace.ifindex = hop.ifindex;
            });
            match ethernet::readdress(view, &hop) {
                Some(()) => Packed::forwarded(backend.index(), hop.ifindex, true),
                None => Packed::dropped(Outcome::DropTruncated),
            }
        }
        Route::NoNeighbour | Route::None => Packed::passed(Outcome::PassNoNeighbour),
    }
}
