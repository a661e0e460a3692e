//! Is this packet ours, and what is it?

use super::{Detour, forward, guard, icmp, nat, parse};
use crate::{
    abi::{Features, FlowKey, VIP_FLAG_ADDRESS, VipEntry, VipKey4, VipKey6, Words},
    balance::{self, Flow},
    packet::{
        Fragment, Ip, IpError, PacketView,
        ethernet::{self, Link},
        icmp::{ICMP, ICMPV6},
        ipv4,
        sctp::SCTP,
        transport::{TCP, Transport, UDP},
    },
    tables::Tables,
    verdict::{Decision, Outcome, Packed},
};

/// Sorts a parsed packet to what handles it. `V4` is the family.
#[inline(always)]
pub(super) fn classify<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    link: &Link,
) -> Packed {
    let ip = match parse::ip::<V4, V>(view, link) {
        Ok(ip) => ip,
        Err(IpError::Unreadable) => return Packed::passed(Outcome::PassMalformed),
        Err(IpError::BadHeader(to)) => {
            return malformed::<V4, T>(tables, to, Outcome::DropBadHeader);
        }
        Err(IpError::TooManyExtensions(to)) => {
            return malformed::<V4, T>(tables, to, Outcome::DropTooManyExtensions);
        }
    };
    // IPv4's detours are prepared for where one is needed. IPv6's extension headers make so many ways
    // of parsing that the verifier had better forget them here.
    let ip = if V4 {
        ip
    } else {
        tables.keep(&ip);
        let Some(ip) = tables.kept() else { return Packed::passed(Outcome::PassMalformed) };
        ip
    };
    if matches!(ip.fragment, Fragment::Later) {
        return Detour::Fragment.needed::<V4>();
    }
    match ip.protocol {
        protocol if is_balanced(tables, protocol) => match parse::transport(view, tables, &ip) {
            Some(transport) => flow::<V4, V, T>(view, tables, &ip, &transport),
            None => malformed::<V4, T>(tables, ip.destination, Outcome::DropTruncated),
        },
        ICMP if V4 => icmp::handle::<V4, V, T>(view, tables, &ip),
        ICMPV6 if !V4 => icmp::handle::<V4, V, T>(view, tables, &ip),
        _ => Packed::passed(Outcome::PassNotVip),
    }
}

/// Whether packets of a protocol are balanced by their ports.
#[inline(always)]
fn is_balanced<T: Tables>(tables: &T, protocol: u8) -> bool {
    match protocol {
        TCP | UDP => true,
        SCTP => tables.features().has(Features::SCTP),
        _ => false,
    }
}

/// Sorts an IPv6 packet whose link layer was read before.
#[inline(always)]
pub(super) fn again<const V4: bool, V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    match ethernet::parse(view) {
        Some(link) => classify::<V4, V, T>(view, tables, &link),
        None => Packed::passed(Outcome::PassMalformed),
    }
}

/// VIP of an address, port and protocol: its own, or the address's all-ports one.
#[inline(always)]
pub(super) fn find_vip<const V4: bool, T: Tables>(
    tables: &T,
    address: Words,
    port: u16,
    protocol: u8,
) -> Option<VipEntry> {
    let found = look_up::<V4, T>(tables, address, port, protocol);
    if found.is_none() && tables.features().has(Features::ALL_PORTS) {
        return look_up::<V4, T>(tables, address, 0, protocol);
    }
    found
}

/// Whether an address is a VIP's.
#[inline(always)]
pub(super) fn is_vip_address<const V4: bool, T: Tables>(tables: &T, address: Words) -> bool {
    let protocol = if V4 { ICMP } else { ICMPV6 };
    look_up::<V4, T>(tables, address, 0, protocol)
        .is_some_and(|entry| entry.flags & VIP_FLAG_ADDRESS != 0)
}

#[inline(always)]
fn flow<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    ip: &Ip,
    transport: &Transport,
) -> Packed {
    let port = transport.destination_port;
    let has_nat = tables.features().has(Features::NAT);
    let Some(vip) = find_vip::<V4, T>(tables, ip.destination, port, ip.protocol) else {
        if has_nat {
            return Detour::Reply.needed::<V4>();
        }
        return Packed::passed(Outcome::PassNotVip);
    };
    tables.note(|trace| trace.vip_plus_one = vip.index as u16 + 1);
    if guard::is_guarded(tables, &vip) {
        return Detour::Guard.needed::<V4>();
    }
    if has_nat && nat::is_mode(vip.mode) {
        return Detour::Translate.needed::<V4>();
    }
    if !matches!(ip.fragment, Fragment::Whole) {
        return Detour::Flow.needed::<V4>();
    }
    if is_proxied(tables, &vip) {
        return to_proxy(tables, vip.index);
    }
    let slot = balance::slot(tables, &vip, V4, &ip.source, transport.source_port, port);
    let pick = match balance::settled(tables, &slot) {
        Ok(Some(pick)) => pick,
        Ok(None) => return Detour::Flow.needed::<V4>(),
        Err(reason) => return Packed::dropped(reason),
    };
    match forward::cached_hop(tables, pick.backend) {
        Some(hop) => forward::send_to::<V4, V, T>(view, tables, ip, &pick, hop),
        None => Detour::Flow.needed::<V4>(),
    }
}

/// Whether a VIP is the proxy's.
#[inline(always)]
pub(super) fn is_proxied<T: Tables>(tables: &T, vip: &VipEntry) -> bool {
    tables.features().has(Features::PROXY) && vip.is_proxied()
}

/// Passes a packet of a proxied VIP to the host's stack as it came.
#[inline(always)]
pub(super) fn to_proxy<T: Tables>(tables: &T, vip: u32) -> Packed {
    tables.note(|trace| trace.decision = Decision::Proxy as u8);
    Packed::proxied(vip)
}

/// The flow of a packet that came from a client.
#[inline(always)]
pub(super) const fn flow_of<const V4: bool>(ip: &Ip, transport: &Transport) -> Flow {
    Flow {
        key: flow_key(ip, transport),
        is_ipv4: V4,
        opens: transport.opens,
        closes: transport.closes,
        stores: true,
    }
}

/// The flow key of a packet in its own direction.
#[inline(always)]
pub(super) const fn flow_key(ip: &Ip, transport: &Transport) -> FlowKey {
    FlowKey {
        source: ip.source,
        destination: ip.destination,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        protocol: ip.protocol,
        pad: 0,
        pad2: 0,
    }
}

/// A packet that cannot be used: dropped by name if it is for a VIP address, the host's otherwise.
#[inline(always)]
fn malformed<const V4: bool, T: Tables>(tables: &T, to: Words, reason: Outcome) -> Packed {
    if is_vip_address::<V4, T>(tables, to) {
        Packed::dropped(reason)
    } else {
        Packed::passed(Outcome::PassMalformed)
    }
}

#[inline(always)]
fn look_up<const V4: bool, T: Tables>(
    tables: &T,
    address: Words,
    port: u16,
    protocol: u8,
) -> Option<VipEntry> {
    if V4 {
        tables.vip4(&VipKey4 { address: ipv4::unmapped(address), port, protocol, pad: 0 })
    } else {
        tables.vip6(&VipKey6 { address, port, protocol, pad: 0 })
    }
}
