//! Services of the packet path and their backends.

use super::{Health, Located};
use schemars::JsonSchema;
use serde::Deserialize;

/// VIPs and the backends that share their traffic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Service {
    /// Name, unique in the file.
    pub(in crate::config) name: Located<String>,
    /// What clients address, `ADDRESS:PORT/PROTOCOL` each: `192.0.2.10:80/tcp`,
    /// `[2001:db8::10]:53/udp`; port `*` is every port without a VIP of its own.
    #[schemars(length(min = 1))]
    pub(in crate::config) vips: Located<Vec<Located<String>>>,
    /// How packets reach the backends. Default auto.
    pub(in crate::config) mode: Option<Mode>,
    /// Clients that are served: addresses and prefixes. Default: everybody.
    pub(in crate::config) sources: Option<Located<Vec<Located<String>>>>,
    /// What keeps a client on one backend. Default none.
    pub(in crate::config) affinity: Option<Affinity>,
    /// What a UDP flow does when the backends change. Default stick.
    pub(in crate::config) udp: Option<Udp>,
    /// A flow without a packet for this long is over, 10s to 24h. Default 15m.
    pub(in crate::config) idle_timeout: Option<Located<String>>,
    /// Slots of the Maglev ring: a prime, at least 100 per backend. Default 65537.
    #[schemars(range(min = 101, max = 65_537))]
    pub(in crate::config) ring_slots: Option<Located<i64>>,
    /// The hosts that serve.
    #[schemars(length(min = 1))]
    pub(in crate::config) backends: Located<Vec<Backend>>,
    /// How backends are probed. Default: not at all, all are taken as healthy.
    pub(in crate::config) health: Option<Located<Health>>,
}

/// One host of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Backend {
    /// Name, unique in its service.
    pub(in crate::config) name: Located<String>,
    /// Its address. Either this or `addresses`.
    pub(in crate::config) address: Option<Located<String>>,
    /// Its addresses, at most one a family.
    #[schemars(length(min = 1, max = 2))]
    pub(in crate::config) addresses: Option<Located<Vec<Located<String>>>>,
    /// Port that it listens on. Default: the VIP's port; another one needs NAT.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Option<Located<i64>>,
    /// Its share of new flows, relative to the other backends. Default 1; 0 takes no new flows.
    #[schemars(range(min = 0, max = 1_000))]
    pub(in crate::config) weight: Option<Located<i64>>,
    /// Take no new flows, keep the old ones until they end. Default false.
    pub(in crate::config) drain: Option<bool>,
}

/// How packets reach the backends.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Mode {
    /// Chosen by reachability, for the whole VIP; the reason is reported.
    Auto,
    /// Layer-2 direct server return: only the MAC addresses change.
    L2dsr,
    /// IP in IP, in any mix of families.
    Tunnel,
    /// Source and destination are translated.
    Nat,
    /// Only the destination is translated: the router is the backends' gateway.
    Dnat,
}

/// What keeps a client on one backend.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Affinity {
    /// Nothing: flows of a client spread over the backends.
    None,
    /// Its address: all flows of a client go to one backend.
    Source,
}

/// What a UDP flow does when the backends change.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Udp {
    /// It stays with its backend while that lives.
    Stick,
    /// It goes where a new flow would go.
    Migrate,
}
