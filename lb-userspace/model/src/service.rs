//! A service: VIPs, and the backends that share their traffic.

use super::{Backend, HealthCheck, Vip};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// VIPs and the backends behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What clients address. No VIP belongs to two services.
    pub vips: BTreeSet<Vip>,
    /// How packets reach the backends.
    pub mode: ForwardingMode,
    /// Clients that are served; empty = everybody. With ranges, a VIP of a family of which there are
    /// none serves nobody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<IpNet>,
    /// What keeps a client on one backend.
    pub affinity: Affinity,
    /// What a UDP flow does when its slot moves.
    pub udp: UdpPolicy,
    /// A flow without a packet for this long is over. Also the transition window of a moved slot.
    pub idle_timeout: Duration,
    /// Maglev slots, a prime of at most 65,537 and at least 100 per backend.
    pub ring_slots: u32,
    /// Backends by name.
    pub backends: BTreeMap<String, Backend>,
    /// Active health check; `None` = backends are taken as healthy.
    pub health: Option<HealthCheck>,
}

/// Requested forwarding mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum ForwardingMode {
    /// Chosen by reachability, for the whole VIP, with a reason that is reported.
    #[default]
    Auto,
    /// Layer-2 direct server return.
    L2dsr,
    /// IP-in-IP.
    Tunnel,
    /// Source and destination NAT.
    Nat,
    /// Destination NAT only.
    Dnat,
}

/// Client stickiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Affinity {
    /// Flows of a client spread over the backends.
    #[default]
    None,
    /// All flows of a client address go to one backend.
    Source,
}

/// UDP has no SYN: what a datagram of an unknown flow does in a moved slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum UdpPolicy {
    /// It stays with the slot's previous backend while that lives, for the transition window.
    #[default]
    Stick,
    /// It follows the ring at once.
    Migrate,
}
