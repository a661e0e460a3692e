//! The contents of the maps before a row runs.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use lb_common::abi::{
    BackendEntry, BackendId, BackendState, FlowKey, Mode, NextHop, VIP_FLAG_ADDRESS,
    VIP_FLAG_PROXIED, VIP_FLAG_SOURCES, VipEntry, Words, mapped,
};

use super::{
    checksum::{SCTP, TCP, UDP},
    stage::{BACKEND_SIDE, EGRESS_MAC, Family, VIP_PORT, backend_mac},
    stored::Stored,
};

/// A flow: protocol, source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// IP protocol number.
    pub protocol: u8,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
}

impl Flow {
    /// A TCP flow.
    pub fn tcp(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Self {
        Self { protocol: TCP, source: source.into(), destination: destination.into() }
    }

    /// A UDP flow.
    pub fn udp(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Self {
        Self { protocol: UDP, source: source.into(), destination: destination.into() }
    }

    /// An SCTP association.
    pub fn sctp(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Self {
        Self { protocol: SCTP, source: source.into(), destination: destination.into() }
    }

    /// The key of the flow in the maps.
    pub fn key(self) -> FlowKey {
        FlowKey {
            source: words(self.source.ip()),
            destination: words(self.destination.ip()),
            source_port: self.source.port().to_be(),
            destination_port: self.destination.port().to_be(),
            protocol: self.protocol,
            pad: 0,
            pad2: 0,
        }
    }
}

/// An address as the maps hold it.
pub fn words(address: IpAddr) -> Words {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => {
            let octets = address.octets();
            std::array::from_fn(|word| {
                u32::from_ne_bytes(std::array::from_fn(|byte| octets[word * 4 + byte]))
            })
        }
    }
}

/// A VIP: address, port (0 = all), protocol.
#[derive(Clone, Copy, Debug)]
pub struct Vip {
    /// Address.
    pub address: IpAddr,
    /// Port, 0 for all.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// What the map says about it.
    pub entry: VipEntry,
}

/// Contents of the maps. Rings of state rows are as long as the list they are given: with one
/// slot every flow falls into it.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) vips: Vec<Vip>,
    /// VIP index, network and length in bits of the 128.
    pub(super) sources: Vec<(u32, Words, u32)>,
    pub(super) backends: BTreeMap<u32, BackendEntry>,
    pub(super) rings: BTreeMap<u32, Vec<u32>>,
    pub(super) previous: BTreeMap<u32, Vec<u32>>,
    pub(super) stored: Vec<Stored>,
}

impl State {
    /// Empty maps.
    pub fn empty() -> Self {
        Self::default()
    }

    /// One service, VIP index 0: TCP, UDP and SCTP at the VIP's usual port, with its address marker.
    pub fn service(family: Family, mode: Mode) -> Self {
        Self::empty()
            .vip(0, (family.vip(), VIP_PORT), TCP, mode, 0)
            .vip(0, (family.vip(), VIP_PORT), UDP, mode, 0)
            .vip(0, (family.vip(), VIP_PORT), SCTP, mode, 0)
            .marker(family)
    }

    /// [`Self::service`] with backend 1 alone in its ring, an interface away from the client.
    pub fn one_backend(family: Family, mode: Mode) -> Self {
        Self::service(family, mode).backend(1, family, mode).ring(0, &[1])
    }

    /// Adds a VIP; `flags` are `VIP_FLAG_*`. The length of its ring is that of the ring given
    /// for `index`.
    #[must_use]
    pub fn vip(
        mut self,
        index: u32,
        (address, port): (IpAddr, u16),
        protocol: u8,
        mode: Mode,
        flags: u8,
    ) -> Self {
        let ring_slots = self.rings.get(&index).map_or(1, Vec::len) as u32;
        let mode = mode as u8;
        let entry = VipEntry { index, ring_slots, mode, flags, pad: [0; 2], idle_timeout_s: 300 };
        self.vips.push(Vip { address, port, protocol, entry });
        self
    }

    /// Adds a proxied VIP.
    #[must_use]
    pub fn proxied(mut self, index: u32, (address, port): (IpAddr, u16), protocol: u8) -> Self {
        let entry = VipEntry { index, flags: VIP_FLAG_PROXIED, ..VipEntry::default() };
        self.vips.push(Vip { address, port, protocol, entry });
        self
    }

    /// Marks the VIP's address of this family as a VIP address.
    #[must_use]
    pub fn marker(self, family: Family) -> Self {
        let address = (family.vip(), 0);
        self.vip(0, address, family.icmp(), Mode::L2Dsr, VIP_FLAG_ADDRESS)
    }

    /// Adds flags to every VIP but the markers.
    #[must_use]
    pub fn vip_flags(mut self, flags: u8) -> Self {
        for vip in self.vips.iter_mut().filter(|vip| vip.entry.flags & VIP_FLAG_ADDRESS == 0) {
            vip.entry.flags |= flags;
        }
        self
    }

    /// Lets only clients in these ranges (network and its own length in bits) in, at every VIP; the
    /// ranges are VIP 0's.
    #[must_use]
    pub fn sources(self, ranges: &[(IpAddr, u8)]) -> Self {
        self.ranges(ranges).vip_flags(VIP_FLAG_SOURCES)
    }

    /// Adds source ranges of VIP 0, whether or not it looks at them.
    #[must_use]
    pub fn ranges(mut self, ranges: &[(IpAddr, u8)]) -> Self {
        for (network, bits) in ranges {
            let before = if network.is_ipv4() { 96 } else { 0 };
            self.sources.push((0, words(*network), before + u32::from(*bits)));
        }
        self
    }

    /// Adds a living backend of VIP 0 at array index `number`, behind the backend side.
    #[must_use]
    pub fn backend(mut self, number: u8, family: Family, mode: Mode) -> Self {
        let source = match mode {
            Mode::Tunnel => family.tunnel_source(),
            _ => family.router(),
        };
        let entry = BackendEntry {
            id: BackendId::new(number.into(), 0),
            state: BackendState::Active as u8,
            mode: mode as u8,
            is_ipv4: u8::from(family == Family::V4),
            pad: 0,
            address: words(family.backend(number)),
            source: words(source),
            next_hop: NextHop::new(BACKEND_SIDE, backend_mac(number), EGRESS_MAC),
            port: VIP_PORT.to_be(),
            mtu: 1500,
            vip: 0,
        };
        self.backends.insert(number.into(), entry);
        self
    }

    /// Changes a backend.
    #[must_use]
    pub fn change(mut self, number: u32, change: impl FnOnce(&mut BackendEntry)) -> Self {
        change(self.backends.get_mut(&number).expect("the backend was added"));
        self
    }

    /// Changes the life of a backend.
    #[must_use]
    pub fn life(self, number: u32, state: BackendState) -> Self {
        self.change(number, |backend| backend.state = state as u8)
    }

    /// Gives a VIP its ring: backend indexes, with `SLOT_MOVED` where a slot moved.
    #[must_use]
    pub fn ring(mut self, vip: u32, slots: &[u32]) -> Self {
        self.rings.insert(vip, slots.to_vec());
        for entry in self.vips.iter_mut().map(|vip| &mut vip.entry) {
            if entry.index == vip {
                entry.ring_slots = slots.len() as u32;
            }
        }
        self
    }

    /// Gives a VIP the previous backends of its slots.
    #[must_use]
    pub fn previous(mut self, vip: u32, slots: &[u32]) -> Self {
        self.previous.insert(vip, slots.to_vec());
        self
    }

    /// An entry of a flow, NAT or fragment table.
    #[must_use]
    pub fn with(mut self, stored: Stored) -> Self {
        self.stored.push(stored);
        self
    }

    /// All-ports services instead: the same VIPs at port 0.
    #[must_use]
    pub fn all_ports(mut self) -> Self {
        for vip in &mut self.vips {
            vip.port = 0;
        }
        self
    }
}
