//! Every map: who writes it, who reads it, what happens when it is full.

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, LpmTrie, LruHashMap, PerCpuArray, SockMap},
    macros::btf_map,
};
use lb_common::{
    abi::{
        BackendCounters, BackendEntry, FlowEntry, FlowKey, FragmentEntry, FragmentKey, NatEntry,
        NatReverse, OutcomeCounters, RingTable, SourceRange, VipEntry, VipEvents, VipKey4, VipKey6,
        Words,
    },
    decap::DECAP_OUTCOMES,
    limits::{
        BACKEND_ENTRIES, DECAP_LOCALS_MAX, FLOWS_DEFAULT, FRAGMENTS_MAX, SOURCE_ENTRIES_MAX,
        VIP_ENTRIES_MAX, VIPS_MAX,
    },
    packet::Ip,
    steer::{SOCKET_SLOTS, STEER_OUTCOMES},
    tables::Owed,
    verdict::OUTCOMES,
};

use crate::fib::FibQuery;

const VIP_ENTRIES: usize = VIP_ENTRIES_MAX as usize;
const DECAP_LOCALS: usize = DECAP_LOCALS_MAX as usize;
const VIPS: usize = VIPS_MAX as usize;
const BACKENDS: usize = BACKEND_ENTRIES as usize;
const FLOWS: usize = FLOWS_DEFAULT as usize;
const FRAGMENTS: usize = FRAGMENTS_MAX as usize;
const SOURCE_ENTRIES: usize = SOURCE_ENTRIES_MAX as usize;

/// IPv4 VIPs. Written by the agent; full = the configuration is refused before it gets here.
#[btf_map(name = "lb_vips4")]
pub static VIPS4: HashMap<VipKey4, VipEntry, VIP_ENTRIES> = HashMap::new();

/// IPv6 VIPs; as `VIPS4`.
#[btf_map(name = "lb_vips6")]
pub static VIPS6: HashMap<VipKey6, VipEntry, VIP_ENTRIES> = HashMap::new();

/// Ranges of the clients of guarded VIPs; the value says nothing. Written by the agent; full = the
/// configuration is refused before it gets here.
#[btf_map(name = "lb_sources")]
pub static SOURCES: LpmTrie<SourceRange, u32, SOURCE_ENTRIES> = LpmTrie::new();

/// Ring of each VIP. Written by the agent, a whole ring at a time.
#[btf_map(name = "lb_rings")]
pub static RINGS: ArrayOfMaps<Array<RingTable, 1>, VIPS> = ArrayOfMaps::new();

/// Previous backends of moved slots, per VIP. Written by the agent.
#[btf_map(name = "lb_previous")]
pub static PREVIOUS: ArrayOfMaps<Array<RingTable, 1>, VIPS> = ArrayOfMaps::new();

/// Backends. Written by the agent.
#[btf_map(name = "lb_backends")]
pub static BACKEND_TABLE: Array<BackendEntry, BACKENDS> = Array::new();

/// Packets and bytes per backend. Written here.
#[btf_map(name = "lb_backend_stat")]
pub static BACKEND_STAT: PerCpuArray<BackendCounters, BACKENDS> = PerCpuArray::new();

/// Packets and bytes per outcome of what was not forwarded. Written here.
#[btf_map(name = "lb_outcomes")]
pub static OUTCOME_STAT: PerCpuArray<OutcomeCounters, { OUTCOMES as usize }> = PerCpuArray::new();

/// Events per VIP. Written here.
#[btf_map(name = "lb_vip_events")]
pub static VIP_EVENTS: PerCpuArray<VipEvents, VIPS> = PerCpuArray::new();

/// Flows of moved slots stored by their opening packet, and affinity records. Written here, swept
/// by the agent; full = the least recently used is forgotten.
#[btf_map(name = "lb_flows_syn")]
pub static FLOWS_OPENED: LruHashMap<FlowKey, FlowEntry, FLOWS> = LruHashMap::new();

/// Flows of moved slots stored by a miss; as `FLOWS_OPENED`.
#[btf_map(name = "lb_flows_miss")]
pub static FLOWS_MISSED: LruHashMap<FlowKey, FlowEntry, FLOWS> = LruHashMap::new();

/// Translated flows, client to backend. Written here, swept by the agent; full = the least
/// recently used is forgotten and its next packet opens a new one.
#[btf_map(name = "lb_nat")]
pub static NAT: LruHashMap<FlowKey, NatEntry, FLOWS> = LruHashMap::new();

/// Translated flows, backend to client; as `NAT`.
#[btf_map(name = "lb_nat_reverse")]
pub static NAT_REVERSE: LruHashMap<FlowKey, NatReverse, FLOWS> = LruHashMap::new();

/// A parsed packet on its way through a detour. Written and read here, by one program run at a time
/// on each CPU.
#[btf_map(name = "lb_scratch")]
pub static SCRATCH: PerCpuArray<Ip, 1> = PerCpuArray::new();

/// What is left to do with that packet; used like `SCRATCH`.
#[btf_map(name = "lb_owed")]
pub static OWED: PerCpuArray<Owed, 1> = PerCpuArray::new();

/// A routing query; used like `SCRATCH`.
#[btf_map(name = "lb_fib_query")]
pub static FIB_QUERY: PerCpuArray<FibQuery, 1> = PerCpuArray::new();

/// Fragmented datagrams. Written here; full = the least recently used is forgotten.
#[btf_map(name = "lb_fragments")]
pub static FRAGMENT_TABLE: LruHashMap<FragmentKey, FragmentEntry, FRAGMENTS> = LruHashMap::new();

/// The proxy's sockets, by `SocketSlot`. Written by the agent; the kernel removes a socket that is
/// closed.
#[btf_map(name = "lb_sockets")]
pub static SOCKETS: SockMap<{ SOCKET_SLOTS as usize }> = SockMap::new();

/// Look-ups per `SteerOutcome`. Written here.
#[btf_map(name = "lb_steer_stat")]
pub static STEER_STAT: PerCpuArray<u64, { STEER_OUTCOMES as usize }> = PerCpuArray::new();

/// Addresses of a backend that tunnels may end at. Written by `lbd decap`.
#[btf_map(name = "lb_decap_local")]
pub static DECAP_LOCAL: HashMap<Words, u32, DECAP_LOCALS> = HashMap::new();

/// Packets and bytes per outcome at the tunnel's end. Written here.
#[btf_map(name = "lb_decap_stat")]
pub static DECAP_STAT: PerCpuArray<OutcomeCounters, { DECAP_OUTCOMES as usize }> =
    PerCpuArray::new();
