//! Sending a packet to its backend, by the VIP's mode.

use super::{Detour, too_big, tunnel};
use crate::{
    abi::{BackendEntry, Features, Mode, NextHop, TRACE_NEXT_HOP_CACHED, TRACE_NEXT_HOP_LOOKUP},
    balance::Pick,
    packet::{Ip, PacketView, ethernet},
    tables::{RouteStatus, Tables},
    verdict::{Outcome, Packed},
};

/// Sends a packet to a chosen backend by L2 DSR or tunnel.
#[inline(always)]
pub(super) fn send<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    ip: &Ip,
    pick: &Pick<'_>,
) -> Packed {
    let backend = pick.backend;
    let hop = match next_hop(tables, backend) {
        Ok(hop) => hop,
        Err(reason) => return Packed::dropped(reason),
    };
    let features = tables.features();
    let result = if features.has(Features::TUNNEL) && backend.mode == Mode::Tunnel as u8 {
        if too_big::exceeds(ip, backend.mtu, tunnel::overhead(backend)) {
            return Detour::too_big::<V4>(
                backend.mtu.saturating_sub(tunnel::overhead(backend) as u16),
            );
        }
        tunnel::encapsulate::<V4, V>(view, ip, backend, &hop, pick.hash)
    } else if features.has(Features::L2DSR) && backend.mode == Mode::L2Dsr as u8 {
        if too_big::exceeds(ip, backend.mtu, 0) {
            return Detour::too_big::<V4>(backend.mtu);
        }
        ethernet::readdress(view, &hop)
    } else {
        return Packed::dropped(Outcome::DropBackendStale);
    };
    match result {
        Some(()) => Packed::forwarded(backend.id.index(), hop.ifindex, false),
        None => Packed::dropped(Outcome::DropNoHeadroom),
    }
}

/// Points a rewritten packet at its backend's next hop.
#[inline(always)]
pub(super) fn deliver<V: PacketView>(
    view: &mut V,
    backend: &BackendEntry,
    hop: &NextHop,
) -> Packed {
    match ethernet::readdress(view, hop) {
        Some(()) => Packed::forwarded(backend.id.index(), hop.ifindex, false),
        None => Packed::dropped(Outcome::DropTruncated),
    }
}

/// Where packets for a backend leave: cached in its entry, else asked of the host.
#[inline(always)]
pub(super) fn next_hop<T: Tables>(tables: &T, backend: &BackendEntry) -> Result<NextHop, Outcome> {
    let cached = backend.next_hop;
    let hop = if cached.ifindex != 0 {
        tables.note(|trace| trace.next_hop = TRACE_NEXT_HOP_CACHED);
        cached
    } else {
        tables.note(|trace| trace.next_hop = TRACE_NEXT_HOP_LOOKUP);
        // The length is checked against the backend entry's MTU, not the route's.
        let route = tables.route(&backend.address, backend.is_ipv4 != 0, 0);
        match route.status {
            RouteStatus::Found => route.hop,
            RouteStatus::NoNeighbour => return Err(Outcome::DropNoNeighbour),
            RouteStatus::TooBig => return Err(Outcome::DropTooBig),
            RouteStatus::None => return Err(Outcome::DropNoRoute),
        }
    };
    tables.note(|trace| {
        trace.backend = backend.id.index();
        trace.ifindex = hop.ifindex;
    });
    Ok(hop)
}
