//! Read-only globals set at load: the verifier sees constants and removes what is not needed.

/// Global: [`Features`] bits, `u32`.
pub const GLOBAL_FEATURES: &str = "LB_FEATURES";
/// Global: flow-hash seed, `u64`. The same on every router of an ECMP group.
pub const GLOBAL_SEED: &str = "LB_SEED";
/// Global: full NAT's port range, `u32`: first in the high half, count in the low half.
pub const GLOBAL_NAT_PORTS: &str = "LB_NAT_PORTS";
/// Global: cookie that marks a trace request, `u64`; 0 never matches.
pub const GLOBAL_TRACE_COOKIE: &str = "LB_TRACE_COOKIE";

/// Which parts of the packet path are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Features(pub u32);

impl Features {
    /// IPv6 VIPs exist.
    pub const IPV6: u32 = 1 << 0;
    /// L2 DSR is used.
    pub const L2DSR: u32 = 1 << 1;
    /// Tunnels are used.
    pub const TUNNEL: u32 = 1 << 2;
    /// NAT or DNAT is used.
    pub const NAT: u32 = 1 << 3;
    /// All-ports VIPs exist: a second VIP look-up.
    pub const ALL_PORTS: u32 = 1 << 4;
    /// Source-address affinity is used.
    pub const AFFINITY: u32 = 1 << 5;
    /// Per-packet logging through aya-log.
    pub const LOG: u32 = 1 << 6;
    /// IPv4 VIPs exist.
    pub const IPV4: u32 = 1 << 7;
    /// Proxied VIPs exist.
    pub const PROXY: u32 = 1 << 8;
    /// VIPs with source ranges exist.
    pub const SOURCES: u32 = 1 << 9;
    /// SCTP VIPs exist.
    pub const SCTP: u32 = 1 << 10;

    /// Everything but logging: what tests load.
    pub const ALL: Self = Self(
        Self::IPV4
            | Self::IPV6
            | Self::L2DSR
            | Self::TUNNEL
            | Self::NAT
            | Self::ALL_PORTS
            | Self::AFFINITY
            | Self::PROXY
            | Self::SOURCES
            | Self::SCTP,
    );

    /// Whether all of `bits` are on.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}
