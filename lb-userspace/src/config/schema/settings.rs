//! What holds for the whole data plane.

use super::{Located, TextOrNumber};
use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for the whole data plane.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Settings {
    /// Seed of the flow hash and of the rings. Routers that share traffic must have the same.
    /// A number is taken as it is, a text is hashed.
    pub(in crate::config) seed: Option<Located<TextOrNumber>>,
    /// Capacity of each flow table and of each NAT table. Default 262144.
    #[schemars(range(min = 1_024, max = 8_388_608))]
    pub(in crate::config) flows_max: Option<Located<i64>>,
    /// Source ports that full NAT takes, `FIRST-LAST`. Default 1024-32767.
    pub(in crate::config) nat_ports: Option<Located<String>>,
    /// Source addresses of full NAT, at most one a family. Default: the router's own address
    /// towards each backend.
    pub(in crate::config) nat_source: Option<Vec<Located<String>>>,
    /// Where tunnel packets seem to come from.
    pub(in crate::config) tunnel_source: Option<TunnelSource>,
    /// Log every packet from the kernel program. Slow; default false.
    pub(in crate::config) packet_log: Option<bool>,
}

/// Where tunnel packets seem to come from: prefixes whose host bits the flow hash fills, so that
/// backends spread flows over their receive queues.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TunnelSource {
    /// First address of a /16. Default 172.16.0.0.
    pub(in crate::config) ipv4: Option<Located<String>>,
    /// First address of a /64. Default 100::, the discard prefix of RFC 6666.
    pub(in crate::config) ipv6: Option<Located<String>>,
}
