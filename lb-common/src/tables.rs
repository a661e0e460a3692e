//! What the packet path looks up and stores: the kernel's maps, or the simulator's.
//!
//! Methods take `&self`: maps are shared, concurrently changed memory.

use crate::{
    abi::{
        BackendEntry, BackendId, Features, FlowKey, FragmentEntry, FragmentKey, NatEntry,
        NatReverse, NextHop, TraceRecord, VipEntry, VipKey4, VipKey6, Words,
    },
    packet::Ip,
    verdict::Event,
};

/// Which flow table. They are separate so that a SYN flood cannot evict established flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowTable {
    /// Flows stored by their opening packet, and affinity records.
    Opened,
    /// Flows stored by a miss in a moved slot.
    Missed,
}

/// The answer to a next-hop look-up. A plain struct: what an enum leaves undefined in its shorter
/// variants the verifier refuses to see moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What was found.
    pub status: RouteStatus,
    /// The next hop, if found.
    pub hop: NextHop,
    /// What the route carries, bytes, if the packet is larger.
    pub mtu: u16,
}

/// What a next-hop look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RouteStatus {
    /// The next hop.
    Found,
    /// A route, but its next hop's link address is not known.
    NoNeighbour,
    /// A route that does not carry a packet of that size.
    TooBig,
    /// No route, or one that does not forward.
    None,
}

impl Route {
    /// A next hop.
    #[inline(always)]
    pub const fn found(hop: NextHop) -> Self {
        Self { status: RouteStatus::Found, hop, mtu: 0 }
    }

    /// Anything but a next hop.
    #[inline(always)]
    pub const fn missing(status: RouteStatus, mtu: u16) -> Self {
        Self { status, hop: NextHop { ifindex: 0, macs: [0; 3] }, mtu }
    }
}

/// What is left to do with a translated SCTP packet whose ports have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Owed {
    /// What then becomes of it: the register of a [`Packed`](crate::verdict::Packed).
    pub verdict: u64,
    /// Old and new ports, exclusive or, as they lie in the packet.
    pub ports: u32,
    /// Zero.
    pub pad: u32,
}

/// The state of the data plane.
pub trait Tables {
    /// Loaded parts of the packet path.
    fn features(&self) -> Features;
    /// Seed of the flow hash.
    fn seed(&self) -> u64;
    /// Source ports of full NAT: first and count (at least 1).
    fn nat_ports(&self) -> (u16, u16);

    /// IPv4 VIP.
    fn vip4(&self, key: &VipKey4) -> Option<VipEntry>;
    /// IPv6 VIP.
    fn vip6(&self, key: &VipKey6) -> Option<VipEntry>;
    /// Word of a ring slot; `None` if the VIP has no ring.
    fn ring_slot(&self, vip: u32, slot: u32) -> Option<u32>;
    /// Previous backend index of a slot; `None` if nothing of the VIP has one.
    fn previous_slot(&self, vip: u32, slot: u32) -> Option<u32>;
    /// A backend entry.
    fn backend(&self, index: u32) -> Option<&BackendEntry>;

    /// Whether an address is in one of a VIP's source ranges.
    fn source_allowed(&self, vip: u32, address: &Words) -> bool;

    /// A tracked flow; refreshes its time and, if it closes, its flags.
    fn flow_hit(&self, table: FlowTable, key: &FlowKey, closes: bool) -> Option<BackendId>;
    /// Stores a tracked flow.
    fn flow_store(&self, table: FlowTable, key: &FlowKey, backend: BackendId);

    /// A translated flow; refreshes its time and, if it closes, its flags.
    fn nat_hit(&self, key: &FlowKey, closes: bool) -> Option<NatEntry>;
    /// Stores a translated flow, forward direction.
    fn nat_store(&self, key: &FlowKey, entry: &NatEntry);
    /// What a reply translates to; refreshes its time and, if it closes, its flags.
    fn nat_reverse_hit(&self, key: &FlowKey, closes: bool) -> Option<NatReverse>;
    /// Claims a reply tuple; false if another flow has it. The flow's own record, which outlived
    /// its forward one, stays and is refreshed.
    fn nat_reverse_claim(&self, key: &FlowKey, entry: &NatReverse) -> bool;

    /// What a datagram's first fragment taught, if it is fresh.
    fn fragment_hit(&self, key: &FragmentKey) -> Option<FragmentEntry>;
    /// Stores what a datagram's first fragment taught; false if it could not be.
    fn fragment_store(&self, key: &FragmentKey, entry: &FragmentEntry) -> bool;

    /// Asks the host for the way of a packet of `length` bytes to an address.
    fn route(&self, destination: &Words, is_ipv4: bool, length: u16) -> Route;
    /// Nanoseconds of a monotonic clock.
    fn now_ns(&self) -> u64;
    /// Counts an event of a VIP.
    fn count_event(&self, vip: u32, event: Event);
    /// Keeps a parsed packet for the detour that follows.
    fn keep(&self, ip: &Ip);
    /// The packet that was kept.
    fn kept(&self) -> Option<Ip>;
    /// Keeps what is left to do with the kept packet.
    fn owe(&self, owed: &Owed);
    /// What is left to do with the kept packet.
    fn owed(&self) -> Option<Owed>;
    /// Notes a decision if this packet is traced. Costs nothing otherwise.
    #[inline(always)]
    fn note(&self, _write: impl FnOnce(&mut TraceRecord)) {}
}
