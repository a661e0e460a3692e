//! Backend entries: what the kernel needs to know to reach one backend of one VIP.

use super::Observed;
use crate::model::{Settings, Vip};
use lb_common::abi::{BackendEntry, BackendId, BackendState, Mode, Words, mapped};
use std::net::IpAddr;

/// Assumed path MTU until netlink tells: Ethernet's, bytes.
const MTU_DEFAULT: u16 = 1_500;

/// Where a backend is.
pub(super) struct Place {
    pub(super) vip: Vip,
    pub(super) vip_index: u32,
    pub(super) mode: Mode,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
}

impl Place {
    /// Whether `entry` is of the same backend, so that flows may stay.
    pub(super) fn is_of(&self, entry: &BackendEntry) -> bool {
        entry.address == words(self.address) && entry.port == self.port()
    }

    /// Port in network order; 0 (all ports) = as the client sent it.
    fn port(&self) -> u16 {
        self.port.unwrap_or(self.vip.port).to_be()
    }
}

/// The entry, but for its state. What netlink has not told yet stays as it was `before`.
pub(super) fn build(
    place: &Place,
    id: BackendId,
    before: Option<&BackendEntry>,
    settings: &Settings,
    observed: &Observed,
) -> BackendEntry {
    let reach = observed.reach.get(&place.address);
    let known_mtu = reach.map(|reach| reach.mtu).filter(|mtu| *mtu != 0);
    let next_hop = reach.map(|reach| reach.next_hop);
    BackendEntry {
        id,
        state: BackendState::Free as u8,
        mode: place.mode as u8,
        is_ipv4: u8::from(place.address.is_ipv4()),
        pad: 0,
        address: words(place.address),
        source: source(place, before, settings, observed),
        next_hop: next_hop.or_else(|| before.map(|it| it.next_hop)).unwrap_or_default(),
        port: place.port(),
        mtu: known_mtu.or_else(|| before.map(|it| it.mtu)).unwrap_or(MTU_DEFAULT),
        vip: place.vip_index,
    }
}

/// Why the backend cannot be used yet, if so.
pub(super) fn obstacle(entry: &BackendEntry) -> Option<&'static str> {
    let is_unsourced = entry.mode == Mode::Nat as u8 && entry.source == Words::default();
    is_unsourced
        .then_some("the router's own address towards it is not known yet, and NAT needs one")
}

fn source(
    place: &Place,
    before: Option<&BackendEntry>,
    settings: &Settings,
    observed: &Observed,
) -> Words {
    let is_ipv4 = place.address.is_ipv4();
    match place.mode {
        Mode::L2Dsr | Mode::Dnat => Words::default(),
        Mode::Tunnel if is_ipv4 => words(settings.tunnel_source.ipv4.into()),
        Mode::Tunnel => words(settings.tunnel_source.ipv6.into()),
        Mode::Nat => {
            let configured = settings.nat_source.iter().copied();
            let own = observed.reach.get(&place.address).and_then(|reach| reach.source);
            let before = before.filter(|entry| entry.mode == Mode::Nat as u8);
            configured
                .chain(own)
                .find(|address| address.is_ipv4() == is_ipv4)
                .map(words)
                .or_else(|| before.map(|entry| entry.source))
                .unwrap_or_default()
        }
    }
}

/// An address as the maps hold it.
pub(super) fn words(address: IpAddr) -> Words {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => {
            let octets = address.octets();
            let (chunks, _) = octets.as_chunks::<4>();
            let mut words = Words::default();
            for (word, chunk) in words.iter_mut().zip(chunks) {
                *word = u32::from_ne_bytes(*chunk);
            }
            words
        }
    }
}
