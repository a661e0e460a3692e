//! Entries of the flow, NAT and fragment tables: what a row starts with, and what it must leave
//! behind. Times are not compared.

use std::{
    fmt::{self, Display},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use lb_common::abi::{
    BackendId, FLOW_FLAG_CLOSING, FlowEntry, FlowKey, FragmentEntry, FragmentKey, FragmentPath,
    NatEntry, NatReverse, Words,
};

use super::state::{Flow, words};

/// When entries that a row starts with were last seen: long ago, but after boot.
const SEEN_NS: u64 = 1;

/// One entry of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Of `lb_flows_syn`.
    Syn(FlowKey, FlowEntry),
    /// Of `lb_flows_miss`.
    Miss(FlowKey, FlowEntry),
    /// Of `lb_nat`.
    Nat(FlowKey, NatEntry),
    /// Of `lb_nat_reverse`.
    NatReverse(FlowKey, NatReverse),
    /// Of `lb_fragments`.
    Fragment(FragmentKey, FragmentEntry),
}

/// A flow stored by its SYN.
pub fn syn_flow(flow: Flow, backend: u32) -> Stored {
    Stored::Syn(flow.key(), flow_entry(backend))
}

/// A flow stored by a miss.
pub fn miss_flow(flow: Flow, backend: u32) -> Stored {
    Stored::Miss(flow.key(), flow_entry(backend))
}

/// A translated flow: the client's flow and its source towards the backend.
pub fn nat_flow(flow: Flow, backend: u32, source: (IpAddr, u16)) -> Stored {
    let entry = NatEntry {
        backend: BackendId(backend),
        source_port: source.1.to_be(),
        source: words(source.0),
        last_seen_ns: SEEN_NS,
        ..NatEntry::default()
    };
    Stored::Nat(flow.key(), entry)
}

/// How replies of a translated flow, `reply` as the backend sends it, become packets of VIP 0 to
/// the client: `flow` is the client's.
pub fn nat_reply(reply: Flow, backend: u32, flow: Flow) -> Stored {
    let entry = NatReverse {
        client: words(flow.source.ip()),
        vip: words(flow.destination.ip()),
        client_port: flow.source.port().to_be(),
        vip_port: flow.destination.port().to_be(),
        backend: BackendId(backend),
        last_seen_ns: SEEN_NS,
        flags: 0,
        vip_index: 0,
    };
    Stored::NatReverse(reply.key(), entry)
}

/// A fragmented datagram on its way to `backend`. With NAT, `translated` are the addresses that
/// replace its own.
pub fn fragment_forward(
    flow: Flow,
    identification: u32,
    backend: u32,
    translated: Option<(IpAddr, IpAddr)>,
) -> Stored {
    fragment(flow, identification, backend, FragmentPath::Forward, translated)
}

/// A fragmented reply of `backend` to a client through NAT.
pub fn fragment_reply(
    flow: Flow,
    identification: u32,
    backend: u32,
    translated: (IpAddr, IpAddr),
) -> Stored {
    fragment(flow, identification, backend, FragmentPath::Reply, Some(translated))
}

/// A fragmented datagram to a proxied VIP.
pub fn fragment_proxied(flow: Flow, identification: u32) -> Stored {
    fragment(flow, identification, 0, FragmentPath::Proxy, None)
}

impl Stored {
    /// The same entry of a later occupant of the backend index.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        let backend = match &mut self {
            Self::Syn(_, entry) | Self::Miss(_, entry) => &mut entry.backend,
            Self::Nat(_, entry) => &mut entry.backend,
            Self::NatReverse(_, entry) => &mut entry.backend,
            Self::Fragment(_, entry) => &mut entry.backend,
        };
        *backend = BackendId::new(backend.index(), generation);
        self
    }

    /// The same entry of a flow whose FIN or RST was seen.
    #[must_use]
    pub fn closing(mut self) -> Self {
        match &mut self {
            Self::Syn(_, entry) | Self::Miss(_, entry) => entry.flags |= FLOW_FLAG_CLOSING,
            Self::Nat(_, entry) => entry.flags |= FLOW_FLAG_CLOSING,
            Self::NatReverse(_, entry) => entry.flags |= FLOW_FLAG_CLOSING,
            Self::Fragment(..) => {}
        }
        self
    }

    /// The same entry, last seen just now.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        // A second ago: the program's coarse clock lags a tick behind.
        let time_ns = monotonic_ns() - 1_000_000_000;
        match &mut self {
            Self::Syn(_, entry) | Self::Miss(_, entry) => entry.last_seen_ns = time_ns,
            Self::Nat(_, entry) => entry.last_seen_ns = time_ns,
            Self::NatReverse(_, entry) => entry.last_seen_ns = time_ns,
            Self::Fragment(_, entry) => entry.learnt_ns = time_ns,
        }
        self
    }
}

/// The entry in words, without times: two entries that read alike are the same.
impl Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syn(key, entry) => write!(f, "flows_syn: {}", flow_line(key, entry)),
            Self::Miss(key, entry) => write!(f, "flows_miss: {}", flow_line(key, entry)),
            Self::Nat(key, entry) => write!(
                f,
                "nat: {} -> {} from {}{}",
                key_line(key),
                backend_line(entry.backend),
                socket(entry.source, entry.source_port),
                closing(entry.flags),
            ),
            Self::NatReverse(key, entry) => write!(
                f,
                "nat_reverse: {} -> {} from {} of vip {} by {}{}",
                key_line(key),
                socket(entry.client, entry.client_port),
                socket(entry.vip, entry.vip_port),
                entry.vip_index,
                backend_line(entry.backend),
                closing(entry.flags),
            ),
            Self::Fragment(key, entry) => write!(
                f,
                "fragments: protocol {} {} > {} id {:#x} -> {} path {} as {} > {}",
                key.protocol,
                address(key.source),
                address(key.destination),
                u32::from_be(key.identification),
                backend_line(entry.backend),
                entry.path,
                address(entry.source),
                address(entry.destination),
            ),
        }
    }
}

/// The kernel's monotonic clock, nanoseconds.
pub(super) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// The address that the words of a map hold.
pub fn address(words: Words) -> IpAddr {
    let mut octets = [0; 16];
    for (bytes, word) in octets.chunks_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets).to_canonical()
}

fn flow_entry(backend: u32) -> FlowEntry {
    FlowEntry { backend: BackendId(backend), flags: 0, last_seen_ns: SEEN_NS }
}

fn fragment(
    flow: Flow,
    identification: u32,
    backend: u32,
    path: FragmentPath,
    translated: Option<(IpAddr, IpAddr)>,
) -> Stored {
    let (from, to) = (flow.source.ip(), flow.destination.ip());
    // The IPv4 field is 16 bits wide, in the word as on the wire. In IPv6 the protocol is no part of
    // a datagram's identity (RFC 8200 section 4.5).
    let (identification, protocol) = match from {
        IpAddr::V4(_) => (u32::from((identification as u16).to_be()), flow.protocol),
        IpAddr::V6(_) => (identification.to_be(), 0),
    };
    let key = FragmentKey {
        source: words(from),
        destination: words(to),
        identification,
        protocol,
        pad: 0,
        pad2: 0,
    };
    let (source, destination) =
        translated.map_or(([0; 4], [0; 4]), |(from, to)| (words(from), words(to)));
    let entry = FragmentEntry {
        backend: BackendId(backend),
        path: path as u8,
        source,
        destination,
        learnt_ns: SEEN_NS,
        ..FragmentEntry::default()
    };
    Stored::Fragment(key, entry)
}

fn flow_line(key: &FlowKey, entry: &FlowEntry) -> String {
    format!("{} -> {}{}", key_line(key), backend_line(entry.backend), closing(entry.flags))
}

fn key_line(key: &FlowKey) -> String {
    let source = socket(key.source, key.source_port);
    let destination = socket(key.destination, key.destination_port);
    format!("protocol {} {source} > {destination}", key.protocol)
}

fn backend_line(backend: BackendId) -> String {
    format!("backend {} generation {}", backend.index(), backend.generation())
}

fn socket(words: Words, port: u16) -> SocketAddr {
    SocketAddr::new(address(words), u16::from_be(port))
}

const fn closing(flags: u32) -> &'static str {
    match flags {
        0 => "",
        FLOW_FLAG_CLOSING => " closing",
        _ => " with unknown flags",
    }
}
