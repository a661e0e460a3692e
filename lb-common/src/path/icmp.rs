//! ICMP to a VIP address: echo is answered here, errors are routed to the flow's backend by the
//! packet they quote. With NAT, errors are translated in both directions.

use super::{
    Detour,
    classify::{find_vip, is_proxied, is_vip_address, to_proxy},
    forward, guard,
    nat::{self, Translation},
    reply,
};
use crate::{
    abi::{Features, FlowKey, Mode, Words, copied},
    balance::{self, Flow},
    packet::{
        Fragment, Ip, PacketView,
        checksum::Sum,
        ethernet,
        icmp::{self, ECHO_REPLY, ECHO_REPLY_V6, HEADER_BYTES, Kind},
        ipv4, ipv6,
        sctp::SCTP,
        transport::{TCP, UDP, UDP_CHECKSUM},
    },
    tables::Tables,
    verdict::{Event, Outcome, Packed},
};

/// A quoted packet: what some flow's packet looked like where the error arose.
#[derive(Clone, Copy)]
struct Quote {
    l3: usize,
    l4: usize,
    source: Words,
    destination: Words,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
}

/// Handles an ICMP or ICMPv6 packet.
#[inline(always)]
pub(super) fn handle<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    ip: &Ip,
) -> Packed {
    let is_vip = is_vip_address::<V4, T>(tables, ip.destination);
    let is_whole = ip.l4 + HEADER_BYTES <= ip.l3 + ip.length as usize;
    let Some(head) = view.read::<u16>(ip.l4).filter(|_| is_whole) else {
        return if is_vip {
            Packed::dropped(Outcome::DropTruncated)
        } else {
            Packed::passed(Outcome::PassMalformed)
        };
    };
    let [message_type, _] = head.to_ne_bytes();
    match (is_vip, icmp::kind(V4, message_type)) {
        (true, Kind::EchoRequest) if matches!(ip.fragment, Fragment::Whole) => {
            Detour::Echo.needed::<V4>()
        }
        (true, Kind::Error) => Detour::IcmpError.needed::<V4>(),
        (true, _) => Packed::passed(Outcome::PassIcmp),
        (false, Kind::Error) if tables.features().has(Features::NAT) => {
            Detour::IcmpReply.needed::<V4>()
        }
        (false, _) => Packed::passed(Outcome::PassNotVip),
    }
}

/// Turns an echo request into its reply (RFC 792, RFC 4443 section 4.2).
#[inline(always)]
pub(super) fn answer_echo<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    match write_echo::<V4, V, T>(view, tables) {
        Some(()) => Packed::answered(Outcome::EchoAnswered),
        None => Packed::dropped(Outcome::DropTruncated),
    }
}

#[inline(always)]
fn write_echo<const V4: bool, V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Option<()> {
    let ip = tables.kept()?;
    let [old, checksum]: [u16; 2] = view.read(ip.l4)?;
    let [_, code] = old.to_ne_bytes();
    let new = u16::from_ne_bytes([if V4 { ECHO_REPLY } else { ECHO_REPLY_V6 }, code]);
    // Of data that is all zero the checksum must be all ones; for other data both are zero.
    let checksum = Sum::default().replace16(old, new).update_nonzero(checksum);
    view.write(ip.l4, [new, checksum])?;
    let back = ethernet::way_back(view)?;
    ethernet::readdress(view, &back)?;
    // Swapping source and destination leaves every checksum as it is.
    if V4 {
        let (source, destination) = (ipv4::unmapped(ip.source), ipv4::unmapped(ip.destination));
        let [old_life, checksum]: [u16; 2] = view.read(ip.l3 + 8)?;
        let new_life = u16::from_ne_bytes([ipv4::TTL, icmp::ICMP]);
        let checksum = Sum::default().replace16(old_life, new_life).update(checksum);
        view.write(ip.l3 + 8, [new_life, checksum])?;
        view.write(ip.l3 + 12, [destination, source])
    } else {
        view.write(ip.l3 + 7, ipv6::HOP_LIMIT)?;
        view.write(ip.l3 + 8, ip.destination)?;
        view.write(ip.l3 + 24, ip.source)
    }
}

/// Routes an error about a VIP's flow to the backend that serves the flow.
#[inline(always)]
pub(super) fn error_to_backend<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let unmatched = Packed::dropped(Outcome::DropIcmpUnmatched);
    let Some((ip, quote)) = kept_error::<V4, V, T>(view, tables) else { return unmatched };
    if quote.source != ip.destination {
        return unmatched;
    }
    let Some(vip) = find_vip::<V4, T>(tables, quote.source, quote.source_port, quote.protocol)
    else {
        return unmatched;
    };
    tables.note(|trace| trace.vip_plus_one = vip.index as u16 + 1);
    if is_proxied(tables, &vip) {
        return to_proxy(tables, vip.index);
    }
    // The flow's client is judged, not the router that tells of the error.
    if guard::refuses(tables, &vip, &quote.destination) {
        return Packed::dropped(Outcome::DropSourceRefused);
    }
    if tables.features().has(Features::NAT) && nat::is_mode(vip.mode) {
        return Detour::IcmpTranslate.needed::<V4>();
    }
    // The quote travelled from the VIP to the client; the flow's key is the other way round.
    let flow =
        Flow { key: quote.reversed(), is_ipv4: V4, opens: false, closes: false, stores: false };
    match balance::pick(tables, &vip, &flow) {
        Ok(pick) => {
            tables.count_event(vip.index, Event::IcmpRouted);
            match forward::send::<V4, V, T>(view, tables, &ip, &pick) {
                // No error is sent about an error (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
                pending if pending.is_pending() => Packed::dropped(Outcome::DropTooBig),
                verdict => verdict,
            }
        }
        Err(reason) => Packed::dropped(reason),
    }
}

#[inline(always)]
pub(super) fn translated_error_to_backend<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let unmatched = Packed::dropped(Outcome::DropIcmpUnmatched);
    let Some((ip, quote)) = kept_error::<V4, V, T>(view, tables) else { return unmatched };
    let Some(entry) = tables.nat_hit(&quote.reversed(), false) else { return unmatched };
    if ip.hop_limit <= 1 {
        return Packed::dropped(Outcome::DropTtlExpired);
    }
    let Some(backend) = balance::still_living(tables, entry.backend) else { return unmatched };
    let keeps_source = backend.mode == Mode::Dnat as u8;
    let to = Translation {
        source: copied(&backend.address),
        destination: copied(&entry.source),
        source_port: nat::port_of(backend, quote.source_port),
        destination_port: entry.source_port,
    };
    let source = if keeps_source { ip.source } else { copied(&entry.source) };
    let outer = (source, copied(&backend.address));
    if rewrite_error::<V4, V>(view, &ip, outer, &quote, &to).is_none() {
        return unmatched;
    }
    let verdict = forward::deliver(view, tables, backend);
    if verdict.is_forwarded() {
        tables.count_event(backend.vip, Event::IcmpRouted);
    }
    verdict
}

/// Translates an error from the backend's side about a translated flow, and sends it to the client.
#[inline(always)]
pub(super) fn error_to_client<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    translate_error_back::<V4, V, T>(view, tables)
}

#[inline(always)]
fn translate_error_back<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
) -> Packed {
    let not_ours = Packed::passed(Outcome::PassNotVip);
    let Some((ip, quote)) = kept_error::<V4, V, T>(view, tables) else { return not_ours };
    let Some(reverse) = tables.nat_reverse_hit(&quote.reversed(), false) else { return not_ours };
    if ip.hop_limit <= 1 {
        return Packed::dropped(Outcome::DropTtlExpired);
    }
    let from_backend = ip.source == quote.destination;
    let to = Translation {
        source: copied(&reverse.client),
        destination: copied(&reverse.vip),
        source_port: reverse.client_port,
        destination_port: reverse.vip_port,
    };
    let source = if from_backend { copied(&reverse.vip) } else { ip.source };
    let outer = (source, copied(&reverse.client));
    if rewrite_error::<V4, V>(view, &ip, outer, &quote, &to).is_none() {
        return Packed::dropped(Outcome::DropIcmpUnmatched);
    }
    tables.count_event(reverse.vip_index, Event::IcmpRouted);
    let route = tables.route(&reverse.client, V4, ip.length);
    reply::to_client(view, tables, &route, reverse.backend)
}

/// An error that was kept, with the packet it quotes.
#[inline(always)]
fn kept_error<const V4: bool, V: PacketView, T: Tables>(
    view: &V,
    tables: &T,
) -> Option<(Ip, Quote)> {
    let ip = tables.kept()?;
    Some((ip, parse_quote::<V4, V>(view, &ip)?))
}

/// Reads the packet quoted by an error: a whole IP header and at least the ports.
#[inline(always)]
fn parse_quote<const V4: bool, V: PacketView>(view: &V, ip: &Ip) -> Option<Quote> {
    let l3 = ip.l4 + HEADER_BYTES;
    let (source, destination, protocol, l4) = if V4 {
        let quoted = ipv4::quoted(view, l3)?;
        (quoted.source, quoted.destination, quoted.protocol, l3 + quoted.header_bytes)
    } else {
        let [first, _]: [u16; 2] = view.read(l3)?;
        if first.to_ne_bytes()[0] >> 4 != 6 {
            return None;
        }
        let next: u8 = view.read(l3 + 6)?;
        (view.read::<Words>(l3 + 8)?, view.read::<Words>(l3 + 24)?, next, l3 + ipv6::HEADER_BYTES)
    };
    if protocol != TCP && protocol != UDP && protocol != SCTP {
        return None;
    }
    if l4 + size_of::<[u16; 2]>() > ip.l3 + ip.length as usize {
        return None;
    }
    let [source_port, destination_port]: [u16; 2] = view.read(l4)?;
    Some(Quote { l3, l4, source, destination, source_port, destination_port, protocol })
}

impl Quote {
    #[inline(always)]
    const fn reversed(&self) -> FlowKey {
        FlowKey {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
            pad: 0,
            pad2: 0,
        }
    }
}

/// Rewrites an error's own addresses and hop limit, and the packet it quotes.
#[inline(always)]
fn rewrite_error<const V4: bool, V: PacketView>(
    view: &mut V,
    ip: &Ip,
    (source, destination): (Words, Words),
    old: &Quote,
    new: &Translation,
) -> Option<()> {
    let quoted = Sum::default()
        .replace16(old.source_port, new.source_port)
        .replace16(old.destination_port, new.destination_port);
    let mut sum = rewrite_quoted_udp::<V4, V>(view, ip, old, new, quoted)?;
    if V4 {
        // The quoted header's checksum moves against its addresses: the message's sum stays.
        replace_addresses4(view, old.l3, old.source, old.destination, new.source, new.destination)?;
        replace_addresses4(view, ip.l3, ip.source, ip.destination, source, destination)?;
        let [old_life, checksum]: [u16; 2] = view.read(ip.l3 + 8)?;
        let new_life = u16::from_ne_bytes([ip.hop_limit.wrapping_sub(1), icmp::ICMP]);
        let checksum = Sum::default().replace16(old_life, new_life).update(checksum);
        view.write(ip.l3 + 8, [new_life, checksum])?;
    } else {
        sum = sum
            .replace_words(old.source, new.source)
            .replace_words(old.destination, new.destination)
            .replace_words(ip.source, source)
            .replace_words(ip.destination, destination);
        view.write(ip.l3 + 7, ip.hop_limit.wrapping_sub(1))?;
        view.write(old.l3 + 8, new.source)?;
        view.write(old.l3 + 24, new.destination)?;
        view.write(ip.l3 + 8, source)?;
        view.write(ip.l3 + 24, destination)?;
    }
    view.write(old.l4, [new.source_port, new.destination_port])?;
    let checksum: u16 = view.read(ip.l4 + 2)?;
    view.write(ip.l4 + 2, sum.update(checksum))
}

/// Moves the checksum of a quoted UDP header, if it is quoted and in use, with its addresses and
/// ports; returns what the whole message's checksum must make of that and of the `ports`.
#[inline(always)]
fn rewrite_quoted_udp<const V4: bool, V: PacketView>(
    view: &mut V,
    ip: &Ip,
    old: &Quote,
    new: &Translation,
    ports: Sum,
) -> Option<Sum> {
    let at = old.l4 + UDP_CHECKSUM;
    if old.protocol != UDP || at + size_of::<u16>() > ip.l3 + ip.length as usize {
        return Some(ports);
    }
    let checksum: u16 = view.read(at)?;
    if V4 && checksum == 0 {
        return Some(ports);
    }
    let sum =
        ports.replace_words(old.source, new.source).replace_words(old.destination, new.destination);
    let updated = sum.update_nonzero(checksum);
    view.write(at, updated)?;
    Some(ports.replace16(checksum, updated))
}

#[inline(always)]
fn replace_addresses4<V: PacketView>(
    view: &mut V,
    l3: usize,
    old_source: Words,
    old_destination: Words,
    source: Words,
    destination: Words,
) -> Option<()> {
    let (source, destination) = (ipv4::unmapped(source), ipv4::unmapped(destination));
    let checksum: u16 = view.read(l3 + 10)?;
    let checksum = Sum::default()
        .replace32(ipv4::unmapped(old_source), source)
        .replace32(ipv4::unmapped(old_destination), destination)
        .update(checksum);
    view.write(l3 + 10, checksum)?;
    view.write(l3 + 12, [source, destination])
}
