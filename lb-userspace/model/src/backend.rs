//! A backend: a host that serves.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One host of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// IPv4 address, if it has one. At least one family is set.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, if it has one.
    pub ipv6: Option<Ipv6Addr>,
    /// Port that the backend listens on; `None` = the VIP's port. Other ports need NAT.
    pub port: Option<u16>,
    /// Relative share of new flows, 0..=1000; 0 takes no new flows (like a drain).
    pub weight: u16,
    /// Takes no new flows, keeps the old ones until they end.
    pub drain: bool,
}

impl Backend {
    /// The address to use for a VIP of the same family as `like`, falling back to the other
    /// family (which only a tunnel can bridge).
    pub fn address_for(&self, like: IpAddr) -> Option<IpAddr> {
        let (v4, v6) = (self.ipv4.map(IpAddr::V4), self.ipv6.map(IpAddr::V6));
        if like.is_ipv4() { v4.or(v6) } else { v6.or(v4) }
    }
}
