//! Full NAT and destination NAT: the way to the backend.
//!
//! Every flow has two records, one per direction, as in IPVS's masquerading; the ring is asked
//! only for new flows.

use super::{
    Detour,
    classify::{find_vip, flow_of},
    forward, fragment, parse, reply, sctp, too_big,
};
use crate::{
    abi::{
        BackendEntry, BackendState, Features, FlowKey, FragmentEntry, FragmentPath, Mode, NatEntry,
        NatReverse, VIP_FLAG_UDP_STICKS, VipEntry, Words, copied,
    },
    balance::{self, Flow, Pick},
    limits::NAT_PORT_TRIES,
    packet::{
        Fragment, Ip, PacketView,
        checksum::Sum,
        ipv4,
        sctp::SCTP,
        transport::{TCP, TCP_CHECKSUM, UDP, UDP_CHECKSUM},
    },
    tables::Tables,
    verdict::{Decision, Event, Outcome, Packed},
};

/// Addresses and ports (network order) that a packet shall have.
#[derive(Clone, Copy)]
pub(super) struct Translation {
    pub(super) source: Words,
    pub(super) destination: Words,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

/// Whether a mode translates.
#[inline(always)]
pub(super) const fn is_mode(mode: u8) -> bool {
    mode == Mode::Nat as u8 || mode == Mode::Dnat as u8
}

/// Translates a client's packet to a VIP and sends it to its backend.
#[inline(always)]
pub(super) fn to_backend<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let Some((ip, transport)) = parse::kept_flow(view, tables) else {
        return Packed::passed(Outcome::PassMalformed);
    };
    if ip.hop_limit <= 1 {
        return Packed::dropped(Outcome::DropTtlExpired);
    }
    let port = transport.destination_port;
    let Some(vip) = find_vip::<V4, T>(tables, ip.destination, port, ip.protocol) else {
        return Packed::passed(Outcome::PassNotVip);
    };
    let flow = flow_of::<V4>(&ip, &transport);
    let (backend, entry) = match find_or_open(tables, &vip, &flow) {
        Ok(found) => found,
        Err(reason) => return Packed::dropped(reason),
    };
    if (backend.is_ipv4 != 0) != V4 {
        return Packed::dropped(Outcome::DropBackendStale);
    }
    // Read once more: what is not held meanwhile takes no room on the kernel's stack.
    let Some(ip) = tables.kept() else { return Packed::passed(Outcome::PassMalformed) };
    if too_big::exceeds(&ip, backend.mtu, 0) {
        return Detour::too_big::<V4>(backend.mtu);
    }
    let to = Translation {
        source: copied(&entry.source),
        destination: copied(&backend.address),
        source_port: entry.source_port,
        destination_port: port_of(backend, port),
    };
    let ports = (transport.source_port, port);
    if !matches!(ip.fragment, Fragment::Whole) {
        if sctp::breaks_checksum(&ip, ports, &to) {
            return Packed::dropped(Outcome::DropChecksumPartial);
        }
        let path = FragmentPath::Forward;
        if !fragment::learn_translated::<V4, T>(tables, &ip, backend.id, path, &to) {
            return Packed::dropped(Outcome::DropFragmentUnknown);
        }
    }
    let verdict = send::<V4, V, T>(view, tables, backend, &to, Some(ports));
    sctp::complete::<V4, T>(tables, verdict)
}

/// Sends a later fragment of a translated datagram after its first.
#[inline(always)]
pub(super) fn follow<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    backend: &BackendEntry,
    entry: &FragmentEntry,
) -> Packed {
    let to = Translation {
        source: copied(&entry.source),
        destination: copied(&entry.destination),
        source_port: 0,
        destination_port: 0,
    };
    if entry.path != FragmentPath::Reply as u8 {
        return send::<V4, V, T>(view, tables, backend, &to, None);
    }
    let Some(ip) = tables.kept() else { return Packed::passed(Outcome::PassMalformed) };
    let route = tables.route(&to.destination, V4, ip.length);
    match rewrite::<V4, V, T>(view, tables, &to, None) {
        Ok(()) => reply::to_client(view, tables, &route, backend.id),
        Err(reason) => Packed::dropped(reason),
    }
}

/// The port that a backend is reached at: its own, or the packet's.
#[inline(always)]
pub(super) const fn port_of(backend: &BackendEntry, port: u16) -> u16 {
    if backend.port == 0 { port } else { backend.port }
}

/// Rewrites the kept packet and sends it to its backend.
#[inline(always)]
fn send<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    backend: &BackendEntry,
    to: &Translation,
    ports: Option<(u16, u16)>,
) -> Packed {
    match rewrite::<V4, V, T>(view, tables, to, ports) {
        Ok(()) => forward::deliver(view, tables, backend),
        Err(reason) => Packed::dropped(reason),
    }
}

/// Rewrites addresses, hop limit and checksums of the kept packet; and ports, if `ports` (the
/// packet's old source and destination port) says that the transport header is here.
#[inline(always)]
pub(super) fn rewrite<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    to: &Translation,
    ports: Option<(u16, u16)>,
) -> Result<(), Outcome> {
    let ip = &tables.kept().ok_or(Outcome::DropTruncated)?;
    if ip.hop_limit <= 1 {
        return Err(Outcome::DropTtlExpired);
    }
    let addresses = Sum::default()
        .replace_words(ip.source, to.source)
        .replace_words(ip.destination, to.destination);
    rewrite_ip::<V4, V>(view, ip, to).ok_or(Outcome::DropTruncated)?;
    match ports {
        Some(old) => rewrite_transport::<V4, V, T>(view, tables, ip, to, old, addresses)
            .ok_or(Outcome::DropTruncated),
        None => Ok(()),
    }
}

#[inline(always)]
fn rewrite_ip<const V4: bool, V: PacketView>(
    view: &mut V,
    ip: &Ip,
    to: &Translation,
) -> Option<()> {
    if V4 {
        let (source, destination) = (ipv4::unmapped(to.source), ipv4::unmapped(to.destination));
        let old_life: u16 = view.read(ip.l3 + 8)?;
        let [ttl, protocol] = old_life.to_ne_bytes();
        let new_life = u16::from_ne_bytes([ttl.wrapping_sub(1), protocol]);
        let checksum: u16 = view.read(ip.l3 + 10)?;
        let checksum = Sum::default()
            .replace32(ipv4::unmapped(ip.source), source)
            .replace32(ipv4::unmapped(ip.destination), destination)
            .replace16(old_life, new_life)
            .update(checksum);
        view.write(ip.l3 + 8, [new_life, checksum])?;
        view.write(ip.l3 + 12, [source, destination])
    } else {
        view.write(ip.l3 + 7, ip.hop_limit.wrapping_sub(1))?;
        view.write(ip.l3 + 8, to.source)?;
        view.write(ip.l3 + 24, to.destination)
    }
}

#[inline(always)]
fn rewrite_transport<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    ip: &Ip,
    to: &Translation,
    old: (u16, u16),
    addresses: Sum,
) -> Option<()> {
    let sum = addresses.replace16(old.0, to.source_port).replace16(old.1, to.destination_port);
    view.write(ip.l4, [to.source_port, to.destination_port])?;
    if ip.protocol == TCP {
        let checksum: u16 = view.read(ip.l4 + TCP_CHECKSUM)?;
        return view.write(ip.l4 + TCP_CHECKSUM, sum.update(checksum));
    }
    if tables.features().has(Features::SCTP) && ip.protocol == SCTP {
        sctp::owe(tables, old, to);
        return Some(());
    }
    let checksum: u16 = view.read(ip.l4 + UDP_CHECKSUM)?;
    if V4 && checksum == 0 {
        // No checksum was sent (RFC 768); none is made up.
        return Some(());
    }
    view.write(ip.l4 + UDP_CHECKSUM, sum.update_nonzero(checksum))
}

#[inline(always)]
fn find_or_open<'t, T: Tables>(
    tables: &'t T,
    vip: &VipEntry,
    flow: &Flow,
) -> Result<(&'t BackendEntry, NatEntry), Outcome> {
    if let Some(entry) = tables.nat_hit(&flow.key, flow.closes)
        && let Some(backend) = balance::still_living(tables, entry.backend)
        // A SYN or INIT is a new flow, and a draining backend takes none; what migrates leaves it.
        && (backend.state == BackendState::Active as u8 || !(flow.opens || migrates(vip, flow)))
    {
        tables.note(|trace| trace.decision = Decision::NatFlow as u8);
        tables.count_event(vip.index, Event::TrackedHit);
        return Ok((backend, entry));
    }
    let pick = balance::pick_untracked(tables, vip, flow)?;
    tables.note(|trace| trace.decision = Decision::NatNew as u8);
    let entry = open(tables, vip, flow, &pick)?;
    let is_break = flow.key.protocol != UDP && !flow.opens;
    tables.count_event(vip.index, if is_break { Event::MissCurrent } else { Event::FlowOpened });
    Ok((pick.backend, entry))
}

#[inline(always)]
fn migrates(vip: &VipEntry, flow: &Flow) -> bool {
    flow.key.protocol == UDP && vip.flags & VIP_FLAG_UDP_STICKS == 0
}

#[inline(always)]
fn open<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    flow: &Flow,
    pick: &Pick<'_>,
) -> Result<NatEntry, Outcome> {
    let backend = pick.backend;
    let keeps_source = backend.mode == Mode::Dnat as u8;
    let source = if keeps_source { copied(&flow.key.source) } else { copied(&backend.source) };
    let now_ns = tables.now_ns();
    let source_port = claim(tables, vip, flow, pick, &source, now_ns)?;
    let entry = NatEntry {
        backend: backend.id,
        source_port,
        pad: 0,
        source,
        last_seen_ns: now_ns,
        flags: 0,
        pad2: 0,
    };
    tables.nat_store(&flow.key, &entry);
    Ok(entry)
}

/// Claims the reply tuple of a flow that shall come from `source`; its source port. A function of
/// its own so that the stack of the two records is free again when the forward one is made.
#[inline(always)]
fn claim<T: Tables>(
    tables: &T,
    vip: &VipEntry,
    flow: &Flow,
    pick: &Pick<'_>,
    source: &Words,
    now_ns: u64,
) -> Result<u16, Outcome> {
    let backend = pick.backend;
    let reverse = NatReverse {
        client: copied(&flow.key.source),
        vip: copied(&flow.key.destination),
        client_port: flow.key.source_port,
        vip_port: flow.key.destination_port,
        backend: backend.id,
        last_seen_ns: now_ns,
        flags: 0,
        vip_index: vip.index,
    };
    let mut reply_key = FlowKey {
        source: copied(&backend.address),
        destination: copied(source),
        source_port: port_of(backend, flow.key.destination_port),
        destination_port: flow.key.source_port,
        protocol: flow.key.protocol,
        pad: 0,
        pad2: 0,
    };
    let claimed = if backend.mode == Mode::Dnat as u8 {
        tables.nat_reverse_claim(&reply_key, &reverse)
    } else {
        claim_port(tables, pick.hash, &mut reply_key, &reverse)
    };
    if claimed { Ok(reply_key.destination_port) } else { Err(Outcome::DropNatPortsExhausted) }
}

/// Tries ports in the order of a linear congruential generator (multiplier and increment of
/// "Numerical Recipes", section 7.1.1) seeded by the flow hash.
#[inline(always)]
fn claim_port<T: Tables>(
    tables: &T,
    hash: u32,
    reply_key: &mut FlowKey,
    reverse: &NatReverse,
) -> bool {
    let (first, count) = tables.nat_ports();
    let mut random = hash;
    for _ in 0..NAT_PORT_TRIES {
        let offset = (random as u64 * count as u64) >> 32;
        reply_key.destination_port = first.wrapping_add(offset as u16).to_be();
        if tables.nat_reverse_claim(reply_key, reverse) {
            return true;
        }
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }
    false
}
