//! What holds for the whole data plane.

use lb_common::limits;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Data-plane settings. Those that size maps take effect when the maps are created; changing them
/// later is reported as needing `lbd detach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Flow-hash and Maglev seed; equal on all routers that share traffic.
    pub seed: u64,
    /// Capacity of each flow table and each NAT table, 1,024..=8,388,608.
    pub flows_max: u32,
    /// Source ports that full NAT takes, inclusive.
    pub nat_ports: (u16, u16),
    /// Source address of full NAT per family; `None` = the router's own address towards each
    /// backend.
    pub nat_source: Vec<IpAddr>,
    /// Outer source prefixes of tunnels.
    pub tunnel_source: TunnelSource,
    /// Per-packet logging in the kernel program.
    pub packet_log: bool,
}

/// Where tunnel packets seem to come from. The flow hash fills the host bits, so that backends
/// spread flows over their receive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelSource {
    /// A /16; default 172.16.0.0 as Katran does.
    pub ipv4: Ipv4Addr,
    /// A /64 (the low 32 bits vary); default the discard prefix 100::/64 (RFC 6666).
    pub ipv6: Ipv6Addr,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0x6c62_2d73_6565_6430,
            flows_max: limits::FLOWS_DEFAULT,
            nat_ports: (limits::NAT_PORT_FIRST, limits::NAT_PORT_LAST),
            nat_source: Vec::new(),
            tunnel_source: TunnelSource::default(),
            packet_log: false,
        }
    }
}

impl Default for TunnelSource {
    fn default() -> Self {
        Self {
            ipv4: Ipv4Addr::new(172, 16, 0, 0),
            ipv6: Ipv6Addr::new(0x0100, 0, 0, 0, 0, 0, 0, 0),
        }
    }
}
