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
    match next_hop(tables, pick.backend) {
        Ok(hop) => send_to::<V4, V, T>(view, tables, ip, pick, &hop),
        Err(reason) => Packed::dropped(reason),
    }
}

/// Sends a packet to a chosen backend by L2 DSR or tunnel, over a known next hop.
#[inline(always)]
pub(super) fn send_to<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    ip: &Ip,
    pick: &Pick<'_>,
    hop: &NextHop,
) -> Packed {
    let backend = pick.backend;
    let features = tables.features();
    let result = if features.has(Features::TUNNEL) && backend.mode == Mode::Tunnel as u8 {
        if too_big::exceeds(ip, backend.mtu, tunnel::overhead(backend)) {
            return Detour::too_big::<V4>(
                backend.mtu.saturating_sub(tunnel::overhead(backend) as u16),
            );
        }
        tunnel::encapsulate::<V4, V>(view, ip, backend, hop, pick.hash)
    } else if features.has(Features::L2DSR) && backend.mode == Mode::L2Dsr as u8 {
        if too_big::exceeds(ip, backend.mtu, 0) {
            return Detour::too_big::<V4>(backend.mtu);
        }
        ethernet::readdress(view, hop)
    } else {
        return Packed::dropped(Outcome::DropBackendStale);
    };
    match result {
        Some(()) => Packed::forwarded(backend.id.index(), hop.ifindex, false),
        None => Packed::dropped(Outcome::DropNoHeadroom),
    }
}

/// Sends a rewritten packet to its backend's next hop.
#[inline(always)]
pub(super) fn deliver<V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    backend: &BackendEntry,
) -> Packed {
    let hop = match next_hop(tables, backend) {
        Ok(hop) => hop,
        Err(reason) => return Packed::dropped(reason),
    };
    match ethernet::readdress(view, &hop) {
        Some(()) => Packed::forwarded(backend.id.index(), hop.ifindex, false),
        None => Packed::dropped(Outcome::DropTruncated),
    }
}

/// Where packets for a backend leave: cached in its entry, else asked of the host.
#[inline(always)]
fn next_hop<T: Tables>(tables: &T, backend: &BackendEntry) -> Result<NextHop, Outcome> {
    if let Some(hop) = cached_hop(tables, backend) {
        return Ok(*hop);
    }
    tables.note(|trace| trace.next_hop = TRACE_NEXT_HOP_LOOKUP);
    // The length is checked against the backend entry's MTU, not the route's.
    let route = tables.route(&backend.address, backend.is_ipv4 != 0, 0);
    match route.status {
        RouteStatus::Found => {
            note_hop(tables, backend, route.hop.ifindex);
            Ok(route.hop)
        }
        RouteStatus::NoNeighbour => Err(Outcome::DropNoNeighbour),
        RouteStatus::TooBig => Err(Outcome::DropTooBig),
        RouteStatus::None => Err(Outcome::DropNoRoute),
    }
}

/// The next hop in a backend's entry, if there is one. It stays there: what is read where it is
/// written takes no room on the stack in between.
#[inline(always)]
pub(super) fn cached_hop<'b, T: Tables>(
    tables: &T,
    backend: &'b BackendEntry,
) -> Option<&'b NextHop> {
    let hop = &backend.next_hop;
    if hop.ifindex == 0 {
        return None;
    }
    tables.note(|trace| trace.next_hop = TRACE_NEXT_HOP_CACHED);
    note_hop(tables, backend, hop.ifindex);
    Some(hop)
}

#[inline(always)]
fn note_hop<T: Tables>(tables: &T, backend: &BackendEntry, ifindex: u32) {
    tables.note(|trace| {
        trace.backend = backend.id.index();
        trace.ifindex = ifindex;
    });
}
