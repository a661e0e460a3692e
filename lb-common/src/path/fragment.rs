//! Fragments: the first one has the ports and decides; later ones follow it.

use super::{
    classify::{is_vip_address, to_proxy},
    forward,
    nat::{self, Translation},
};
use crate::{
    abi::{BackendId, Features, FragmentEntry, FragmentKey, FragmentPath, copied},
    balance::{self, Pick},
    packet::{Ip, PacketView},
    tables::Tables,
    verdict::{Decision, Event, Outcome, Packed},
};

/// Remembers where a datagram goes; false if it could not be.
#[inline(always)]
pub(super) fn learn<const V4: bool, T: Tables>(tables: &T, ip: &Ip, pick: &Pick<'_>) -> bool {
    let entry = FragmentEntry {
        backend: pick.backend.id,
        path: FragmentPath::Forward as u8,
        learnt_ns: tables.now_ns(),
        hash: pick.hash,
        ..FragmentEntry::default()
    };
    store::<V4, T>(tables, ip, &entry)
}

/// Remembers a datagram whose addresses will be translated; false if it could not be.
#[inline(always)]
pub(super) fn learn_translated<const V4: bool, T: Tables>(
    tables: &T,
    ip: &Ip,
    backend: BackendId,
    path: FragmentPath,
    to: &Translation,
) -> bool {
    let entry = FragmentEntry {
        backend,
        path: path as u8,
        source: copied(&to.source),
        destination: copied(&to.destination),
        learnt_ns: tables.now_ns(),
        ..FragmentEntry::default()
    };
    store::<V4, T>(tables, ip, &entry)
}

/// Remembers that a datagram is the proxy's; false if it could not be.
#[inline(always)]
pub(super) fn learn_proxied<const V4: bool, T: Tables>(tables: &T, ip: &Ip, vip: u32) -> bool {
    let entry = FragmentEntry {
        path: FragmentPath::Proxy as u8,
        learnt_ns: tables.now_ns(),
        vip,
        ..FragmentEntry::default()
    };
    tables.count_event(vip, Event::FragmentLearnt);
    tables.fragment_store(&key::<V4>(ip), &entry)
}

/// Sends a later fragment after its first.
#[inline(always)]
pub(super) fn follow<const V4: bool, V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let Some(ip) = tables.kept() else {
        return Packed::passed(Outcome::PassMalformed);
    };
    let Some(entry) = tables.fragment_hit(&key::<V4>(&ip)) else {
        return if is_vip_address::<V4, T>(tables, ip.destination) {
            Packed::dropped(Outcome::DropFragmentUnknown)
        } else {
            Packed::passed(Outcome::PassNotVip)
        };
    };
    if tables.features().has(Features::PROXY) && entry.path == FragmentPath::Proxy as u8 {
        return to_proxy(tables, entry.vip);
    }
    let Some(backend) = balance::still_living(tables, entry.backend) else {
        return Packed::dropped(Outcome::DropBackendStale);
    };
    tables.note(|trace| trace.decision = Decision::Fragment as u8);
    if tables.features().has(Features::NAT) && nat::is_mode(backend.mode) {
        return nat::follow::<V4, V, T>(view, tables, backend, &entry);
    }
    let pick = Pick { backend, hash: entry.hash };
    forward::send::<V4, V, T>(view, tables, &ip, &pick)
}

#[inline(always)]
fn store<const V4: bool, T: Tables>(tables: &T, ip: &Ip, entry: &FragmentEntry) -> bool {
    if let Some(backend) = tables.backend(entry.backend.index()) {
        tables.count_event(backend.vip, Event::FragmentLearnt);
    }
    tables.fragment_store(&key::<V4>(ip), entry)
}

#[inline(always)]
const fn key<const V4: bool>(ip: &Ip) -> FragmentKey {
    FragmentKey {
        source: ip.source,
        destination: ip.destination,
        identification: ip.identification,
        // IPv6 identifies a datagram without the protocol (RFC 8200 section 4.5), and its later
        // fragments may name an extension header instead.
        protocol: if V4 { ip.protocol } else { 0 },
        pad: 0,
        pad2: 0,
    }
}
