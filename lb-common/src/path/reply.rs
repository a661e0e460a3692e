//! A translated flow's way back: from the backend to the client.

use super::{
    Detour,
    classify::flow_key,
    fragment,
    nat::{self, Translation},
    parse, sctp,
};
use crate::{
    abi::{BackendId, FragmentPath, copied},
    packet::{Fragment, PacketView, ethernet},
    tables::{Route, RouteStatus, Tables},
    verdict::{Decision, Outcome, Packed},
};

/// Translates a backend's reply and sends it to the client; anything else passes.
#[inline(always)]
pub(super) fn translate<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let Some((ip, transport)) = parse::kept_flow(view, tables) else {
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
    let route = tables.route(&translation.destination, V4, ip.length);
    if matches!(route.status, RouteStatus::TooBig) && ip.dont_fragment {
        return Detour::too_big::<V4>(route.mtu);
    }
    let ports = (transport.source_port, transport.destination_port);
    if !matches!(ip.fragment, Fragment::Whole) {
        if sctp::breaks_checksum(&ip, ports, &translation) {
            return Packed::dropped(Outcome::DropChecksumPartial);
        }
        let (backend, path) = (reverse.backend, FragmentPath::Reply);
        if !fragment::learn_translated::<V4, T>(tables, &ip, backend, path, &translation) {
            return Packed::dropped(Outcome::DropFragmentUnknown);
        }
    }
    if let Err(reason) = nat::rewrite::<V4, V, T>(view, tables, &translation, Some(ports)) {
        return Packed::dropped(reason);
    }
    let verdict = to_client(view, tables, &route, reverse.backend);
    sctp::complete::<V4, T>(tables, verdict)
}

/// Sends a translated packet to the client by the host's routes. What the program cannot send (no
/// link address yet, or to be fragmented) the host's stack forwards: it already looks like the VIP's.
#[inline(always)]
pub(super) fn to_client<V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    route: &Route,
    backend: BackendId,
) -> Packed {
    if !matches!(route.status, RouteStatus::Found) {
        return Packed::passed(Outcome::PassNoNeighbour);
    }
    let hop = &route.hop;
    tables.note(|trace| {
        trace.backend = backend.index();
        trace.ifindex = hop.ifindex;
    });
    match ethernet::readdress(view, hop) {
        Some(()) => Packed::forwarded(backend.index(), hop.ifindex, true),
        None => Packed::dropped(Outcome::DropTruncated),
    }
}
