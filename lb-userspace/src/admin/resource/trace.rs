//! `trace`.

use crate::model::Protocol;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The packet to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceRequest {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Client.
    pub source: SocketAddr,
    /// VIP address and port.
    pub destination: SocketAddr,
    /// Whether a TCP packet opens its connection (SYN) or belongs to one (ACK).
    pub opens: bool,
    /// Interface it seems to come in on; `null` = the first attached one.
    pub interface: Option<String>,
}

/// What the loaded program did with it, decision by decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceResource {
    /// `lb.internal/v1`.
    pub api_version: String,
    /// `Trace`.
    pub kind: String,
    /// The packet that was sent in.
    pub packet: String,
    /// VIP it matched; `null` = none.
    pub vip: Option<String>,
    /// Service of the VIP, or the listeners of a proxied one.
    pub service: Option<String>,
    /// Ring slot of the flow.
    pub slot: Option<u32>,
    /// Whether the slot moved, so that the flow is looked up.
    pub slot_moved: Option<bool>,
    /// How the backend was chosen (`ring`, `tracked`, `new`, `previous`, ...), or `proxy`.
    pub decision: String,
    /// The backend chosen.
    pub backend: Option<String>,
    /// Address of the backend.
    pub backend_address: Option<String>,
    /// Egress interface.
    pub interface: Option<String>,
    /// MAC that the frame goes to.
    pub next_hop_mac: Option<String>,
    /// Where the next hop came from: `cached` or `lookup`.
    pub next_hop_from: Option<String>,
    /// What the program returned: `pass`, `drop`, `tx` or `redirect`.
    pub verdict: String,
    /// Why it was not forwarded; `null` = it was.
    pub outcome: Option<String>,
    /// The packet as it left, described.
    pub output: String,
    /// The same, hexadecimal, Ethernet header first.
    pub output_hex: String,
}

impl TraceResource {
    /// `kind` of the object.
    pub const KIND: &'static str = "Trace";
}
