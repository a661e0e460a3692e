//! Backend table: one entry per VIP and backend, a cache line each.

use super::{Words, pod};

/// Bits of a [`BackendId`] that are the array index; the rest is the generation.
pub const BACKEND_INDEX_BITS: u32 = 17;

/// A backend array index with the generation of its occupant, so that a flow stored for an
/// earlier occupant of the index never reaches a later one.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct BackendId(pub u32);

impl BackendId {
    /// Generations before the counter wraps (15 bits).
    pub const GENERATIONS: u32 = 1 << (32 - BACKEND_INDEX_BITS);

    /// Id of the `generation`-th occupant of `index`.
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((generation << BACKEND_INDEX_BITS) | (index & ((1 << BACKEND_INDEX_BITS) - 1)))
    }

    /// Position in the backend array.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 & ((1 << BACKEND_INDEX_BITS) - 1)
    }

    /// Which occupant of the index.
    pub const fn generation(self) -> u32 {
        self.0 >> BACKEND_INDEX_BITS
    }
}

/// How packets reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// Layer-2 direct server return: only the MAC addresses change.
    L2Dsr = 1,
    /// IP-in-IP tunnel (RFC 2003, RFC 2473, RFC 4213), any family in any family.
    Tunnel = 2,
    /// Full NAT: source and destination are translated, replies return through the balancer.
    Nat = 3,
    /// Destination NAT only: the client address is kept, the balancer is the backends' gateway.
    Dnat = 4,
}

impl Mode {
    /// The mode with this wire value.
    #[inline(always)]
    pub const fn from_wire(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::L2Dsr,
            2 => Self::Tunnel,
            3 => Self::Nat,
            4 => Self::Dnat,
            _ => return None,
        })
    }

    /// The name in configuration and tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L2Dsr => "l2dsr",
            Self::Tunnel => "tunnel",
            Self::Nat => "nat",
            Self::Dnat => "dnat",
        }
    }
}

/// Life of a backend entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BackendState {
    /// No occupant.
    Free = 0,
    /// Takes new flows.
    Active = 1,
    /// Keeps its flows, takes no new ones.
    Draining = 2,
    /// Known dead: keeps nothing.
    Down = 3,
}

impl BackendState {
    /// The state with this wire value.
    pub const fn from_wire(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Free,
            1 => Self::Active,
            2 => Self::Draining,
            3 => Self::Down,
            _ => return None,
        })
    }
}

/// Where frames for a backend leave: kept current from the kernel's neighbour and route tables.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct NextHop {
    /// Egress interface; 0 = unresolved, the kernel program looks it up (`bpf_fib_lookup`).
    pub ifindex: u32,
    /// Destination and source MAC, the first twelve bytes of the frame. Words, because the BPF
    /// stack takes aligned accesses only.
    pub macs: [u32; 3],
}

impl NextHop {
    /// The next hop out of an interface from one MAC to another.
    pub const fn new(ifindex: u32, destination: [u8; 6], source: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = destination;
        let [g, h, i, j, k, l] = source;
        Self {
            ifindex,
            macs: [
                u32::from_ne_bytes([a, b, c, d]),
                u32::from_ne_bytes([e, f, g, h]),
                u32::from_ne_bytes([i, j, k, l]),
            ],
        }
    }

    /// Destination MAC.
    pub const fn destination(&self) -> [u8; 6] {
        let [[a, b, c, d], [e, f, ..], _] = self.bytes();
        [a, b, c, d, e, f]
    }

    /// Source MAC.
    pub const fn source(&self) -> [u8; 6] {
        let [_, [.., a, b], [c, d, e, f]] = self.bytes();
        [a, b, c, d, e, f]
    }

    const fn bytes(&self) -> [[u8; 4]; 3] {
        let [a, b, c] = self.macs;
        [a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes()]
    }
}

/// Value of the backend table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BackendEntry {
    /// The occupant; a flow stored for another id does not match.
    pub id: BackendId,
    /// [`BackendState`].
    pub state: u8,
    /// [`Mode`].
    pub mode: u8,
    /// Whether `address` is IPv4 (mapped): chooses the outer header of a tunnel.
    pub is_ipv4: u8,
    /// Zero.
    pub pad: u8,
    /// Tunnel destination, or the translated destination, IPv4-mapped if IPv4.
    pub address: Words,
    /// Tunnel source base (low 16 bits of IPv4 and low 32 of IPv6 take the flow hash), or the
    /// translated source of full NAT.
    pub source: Words,
    /// Next hop.
    pub next_hop: NextHop,
    /// Translated destination port, network order; 0 (of an all-ports VIP) = the packet's own.
    pub port: u16,
    /// Largest IP packet that the path to the backend carries, bytes.
    pub mtu: u16,
    /// VIP index the entry belongs to.
    pub vip: u32,
}

impl BackendEntry {
    /// Whether established flows may stay.
    #[inline(always)]
    pub const fn is_alive(&self) -> bool {
        self.state == BackendState::Active as u8 || self.state == BackendState::Draining as u8
    }
}

pod!(BackendId, NextHop, BackendEntry);
const _: () = assert!(size_of::<NextHop>() == 16);
const _: () = assert!(size_of::<BackendEntry>() == 64);
