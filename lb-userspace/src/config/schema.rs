//! The file syntax, and the only place that knows it. What the values must be beyond their type
//! is checked where they are lowered; the reference for people is `docs/CONFIG.md`.
//!
//! All that may be left out is an `Option`, so that a key without a value (all lines of a section
//! commented out) means the same as no key.

use super::located::Located;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// A whole configuration file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lbd configuration")]
pub(super) struct File {
    /// Interfaces that traffic for VIPs arrives on; with NAT also those that backends answer on.
    #[schemars(length(min = 1))]
    pub(super) interfaces: Located<Vec<Located<String>>>,
    /// What holds for the whole data plane.
    pub(super) settings: Option<Settings>,
    /// What a service that does not say otherwise gets.
    pub(super) defaults: Option<Defaults>,
    /// The services. May be empty, but must be written.
    pub(super) services: Vec<Service>,
}

/// What holds for the whole data plane.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Seed of the flow hash and of the rings. Routers that share traffic must have the same.
    /// A number is taken as it is, a text is hashed.
    pub(super) seed: Option<Located<TextOrNumber>>,
    /// Capacity of each flow table and of each NAT table. Default 262144.
    #[schemars(range(min = 1_024, max = 8_388_608))]
    pub(super) flows_max: Option<Located<i64>>,
    /// Source ports that full NAT takes, `FIRST-LAST`. Default 1024-32767.
    pub(super) nat_ports: Option<Located<String>>,
    /// Source addresses of full NAT, at most one a family. Default: the router's own address
    /// towards each backend.
    pub(super) nat_source: Option<Vec<Located<String>>>,
    /// Where tunnel packets seem to come from.
    pub(super) tunnel_source: Option<TunnelSource>,
    /// Log every packet from the kernel program. Slow; default false.
    pub(super) packet_log: Option<bool>,
}

/// Where tunnel packets seem to come from: prefixes whose host bits the flow hash fills, so that
/// backends spread flows over their receive queues.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TunnelSource {
    /// First address of a /16. Default 172.16.0.0.
    pub(super) ipv4: Option<Located<String>>,
    /// First address of a /64. Default 100::, the discard prefix of RFC 6666.
    pub(super) ipv6: Option<Located<String>>,
}

/// What a service that does not say otherwise gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// As in a service.
    pub(super) mode: Option<Mode>,
    /// As in a service.
    pub(super) affinity: Option<Affinity>,
    /// As in a service.
    pub(super) udp: Option<Udp>,
    /// As in a service.
    pub(super) idle_timeout: Option<Located<String>>,
    /// As in a service.
    #[schemars(range(min = 101, max = 65_537))]
    pub(super) ring_slots: Option<Located<i64>>,
    /// As in a service.
    pub(super) health: Option<Located<Health>>,
}

/// VIPs and the backends that share their traffic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// Name, unique in the file.
    pub(super) name: Located<String>,
    /// What clients address, `ADDRESS:PORT/PROTOCOL` each: `192.0.2.10:80/tcp`,
    /// `[2001:db8::10]:53/udp`; port `*` is every port without a VIP of its own.
    #[schemars(length(min = 1))]
    pub(super) vips: Located<Vec<Located<String>>>,
    /// How packets reach the backends. Default auto.
    pub(super) mode: Option<Mode>,
    /// What keeps a client on one backend. Default none.
    pub(super) affinity: Option<Affinity>,
    /// What a UDP flow does when the backends change. Default stick.
    pub(super) udp: Option<Udp>,
    /// A flow without a packet for this long is over, 10s to 24h. Default 15m.
    pub(super) idle_timeout: Option<Located<String>>,
    /// Slots of the Maglev ring: a prime, at least 100 per backend. Default 65537.
    #[schemars(range(min = 101, max = 65_537))]
    pub(super) ring_slots: Option<Located<i64>>,
    /// The hosts that serve.
    #[schemars(length(min = 1))]
    pub(super) backends: Located<Vec<Backend>>,
    /// How backends are probed. Default: not at all, all are taken as healthy.
    pub(super) health: Option<Located<Health>>,
}

/// One host of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backend {
    /// Name, unique in its service.
    pub(super) name: Located<String>,
    /// Its address. Either this or `addresses`.
    pub(super) address: Option<Located<String>>,
    /// Its addresses, at most one a family.
    #[schemars(length(min = 1, max = 2))]
    pub(super) addresses: Option<Located<Vec<Located<String>>>>,
    /// Port that it listens on. Default: the VIP's port; another one needs NAT.
    #[schemars(range(min = 1, max = 65_535))]
    pub(super) port: Option<Located<i64>>,
    /// Its share of new flows, relative to the other backends. Default 1; 0 takes no new flows.
    #[schemars(range(min = 0, max = 1_000))]
    pub(super) weight: Option<Located<i64>>,
    /// Take no new flows, keep the old ones until they end. Default false.
    pub(super) drain: Option<bool>,
}

/// How backends are probed: one of `tcp`, `http` and `none`, and the rhythm.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// A TCP connection must be accepted.
    pub(super) tcp: Option<TcpProbe>,
    /// `GET` must be answered with a healthy status.
    pub(super) http: Option<HttpProbe>,
    /// No probing; for a service that should not have the default's probe.
    pub(super) none: Option<NoProbe>,
    /// Time between probes of one backend, 100ms to 1h. Default 2s.
    pub(super) interval: Option<Located<String>>,
    /// A probe that takes longer has failed, 10ms to the interval. Default 1s, or the interval
    /// if that is shorter.
    pub(super) timeout: Option<Located<String>>,
    /// Successes in a row that take a backend back. Default 2.
    #[schemars(range(min = 1, max = 10))]
    pub(super) rise: Option<Located<i64>>,
    /// Failures in a row that take a backend out. Default 3.
    #[schemars(range(min = 1, max = 10))]
    pub(super) fall: Option<Located<i64>>,
}

/// A TCP connection must be accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpProbe {
    /// Port to probe. Default: the backend's port, or else that of the service's first VIP.
    #[schemars(range(min = 1, max = 65_535))]
    pub(super) port: Option<Located<i64>>,
}

/// `GET` must be answered with a healthy status.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpProbe {
    /// Path and query, from its `/`.
    pub(super) path: Located<String>,
    /// `Host` header. Default: the backend's address.
    pub(super) host: Option<Located<String>>,
    /// Healthy status codes, `FIRST-LAST` or one code. Default 200-399.
    pub(super) expect: Option<Located<TextOrNumber>>,
    /// Port to probe. Default: the backend's port, or else that of the service's first VIP.
    #[schemars(range(min = 1, max = 65_535))]
    pub(super) port: Option<Located<i64>>,
}

/// No probing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoProbe {}

/// How packets reach the backends.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
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
pub(super) enum Affinity {
    /// Nothing: flows of a client spread over the backends.
    None,
    /// Its address: all flows of a client go to one backend.
    Source,
}

/// What a UDP flow does when the backends change.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Udp {
    /// It stays with its backend while that lives.
    Stick,
    /// It goes where a new flow would go.
    Migrate,
}

/// A text or a whole number.
#[derive(Clone, Debug)]
pub(super) enum TextOrNumber {
    /// A text.
    Text(String),
    /// A whole number: 64 bits, with or without a sign.
    Number(i128),
}

impl fmt::Display for TextOrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = TextOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(TextOrNumber::Number(value.into()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(TextOrNumber::Number(value.into()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(TextOrNumber::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for TextOrNumber {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TextOrNumber".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "integer"], "minimum": 0 })
    }
}
