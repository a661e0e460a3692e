//! What the world looks like: everything `compile` needs beside `Desired`.

use lb_common::abi::NextHop;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Facts gathered by health checks, operators and netlink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Backends (service, backend) that health checks hold for dead.
    pub down: BTreeSet<(String, String)>,
    /// Backends (service, backend) drained by an operator.
    pub drained: BTreeSet<(String, String)>,
    /// How each backend address is reached. Missing = not known (yet).
    pub reach: BTreeMap<IpAddr, Reach>,
    /// Wall clock, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// What the flow sweeper found, by VIP index: the slots in which a tracked flow lives on
    /// another backend than the slot's current one. The marks of all other slots of the VIP may
    /// be cleared. A VIP that was not swept is missing. The sweep must have begun after the
    /// running image was applied. Records of backends that are not alive, or of other occupants,
    /// need no mark.
    pub held_slots: BTreeMap<u32, BTreeSet<u32>>,
}

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reach {
    /// Cached next hop; `ifindex` 0 = not resolved.
    pub next_hop: NextHop,
    /// Whether the address is on a directly connected network.
    pub on_link: bool,
    /// The router's own address towards it.
    pub source: Option<IpAddr>,
    /// MTU of the path's first link, bytes; 0 = not known.
    pub mtu: u16,
}
