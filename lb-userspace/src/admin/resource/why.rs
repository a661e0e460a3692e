//! `why`: what would become of a request.

use super::{EndpointResource, TraceResource};
use crate::kube::EndpointCount;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The request to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyRequest {
    /// `https://shop.example/a?b`.
    pub url: String,
    /// Method, case-sensitive.
    pub method: String,
    /// Fields with their values; `Host` in place of the URL's.
    pub headers: Vec<(String, String)>,
    /// Where the client connects; `null` = the URL's address, or what is served at its port.
    pub to: Option<SocketAddr>,
    /// The client; `null` = one of the addresses for documentation.
    pub from: Option<IpAddr>,
}

/// What would become of it, decision by decision. Nothing is sent, stored or counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyResource {
    /// `lb.internal/v1`.
    pub api_version: String,
    /// `Why`.
    pub kind: String,
    /// The request, as it is understood.
    pub request: String,
    /// Where the client connects; `null` = nothing is served at the URL's port.
    pub address: Option<String>,
    /// Other addresses of that port where the host is served.
    pub other_addresses: Vec<String>,
    /// What the loaded program does with the connection's first packet; `null` = the address is
    /// no VIP, or no program is loaded.
    pub packet: Option<TraceResource>,
    /// Why there is no packet although the address is a VIP's.
    pub packet_error: Option<String>,
    /// The listeners of the address.
    pub listeners: Vec<WhyListener>,
    /// TLS, if the listener terminates it.
    pub tls: Option<WhyTls>,
    /// The rules considered, in order.
    pub rules: Vec<WhyRule>,
    /// Rules considered but not listed, since they are too many.
    pub rules_left_out: u64,
    /// The rule (or, for a session, the upstreams' route) that is taken.
    pub rule: Option<String>,
    /// Filters of the rule that do something, in order.
    pub filters: Vec<String>,
    /// Who answers, unless a filter does.
    pub backends: Vec<WhyBackend>,
    /// Names that must resolve to where the client connects: `HOST -> ADDRESS, ...`; `null` = the
    /// URL names an address, or nothing is served at its port.
    #[serde(default)]
    pub dns: Option<String>,
    /// Objects of clusters on the way, in its order; then routes that want the host and are not
    /// served. Empty = all is from the file.
    #[serde(default)]
    pub objects: Vec<WhyObject>,
    /// What becomes of it, a sentence.
    pub outcome: String,
    /// Why it is answered here, by the name that logs and metrics use; `null` = a backend answers.
    pub refusal: Option<String>,
    /// The status of such an answer, unless a filter changes it.
    pub status: Option<u16>,
}

/// A listener that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyListener {
    /// Name.
    pub listener: String,
    /// What it speaks.
    pub protocol: String,
    /// Host that it serves.
    pub host: String,
    /// Why not this one; `null` = this is the one.
    pub rejected: Option<String>,
}

/// How TLS is terminated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyTls {
    /// The server name that clients send; `null` for addresses.
    pub server_name: Option<String>,
    /// The listener's certificates for it, the preferred first; empty = the default one is shown.
    pub certificates: Vec<String>,
    /// Whether handshakes can succeed.
    pub usable: bool,
    /// What is wrong, even if some certificate can be used.
    pub problems: Vec<String>,
}

/// A rule that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyRule {
    /// Name.
    pub rule: String,
    /// What it asks for.
    pub wants: String,
    /// Why not this one; `null` = this is the one.
    pub rejected: Option<String>,
}

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyBackend {
    /// The upstream; `null` = it is not there.
    pub upstream: Option<String>,
    /// Its part of the requests, 0 to 1.
    pub share: f64,
    /// How it chooses.
    pub balance: Option<String>,
    /// The endpoint that it would choose now; by chance another may be chosen.
    pub chosen: Option<String>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointResource>,
}

/// An object of clusters on the way of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyObject {
    /// `Gateway NS/NAME`, `HTTPRoute NS/NAME`, `Service NS/NAME`, `IngressClass NAME`.
    pub object: String,
    /// The clusters that have it, in order of the configuration.
    pub clusters: Vec<String>,
    /// Endpoints in all of them, of a Service: ready and all.
    pub endpoints: Option<EndpointCount>,
    /// Why it is not served, or not as it asks for; `null` = it is.
    pub reason: Option<String>,
}

impl WhyResource {
    /// `kind` of the object.
    pub const KIND: &'static str = "Why";
}
