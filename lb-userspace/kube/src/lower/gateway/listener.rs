//! One listener: what it asks for.

use super::ListenerDraft;
use crate::{ObjectId, api::ListenerSpec};
use lb_model::{HostPattern, ListenerProtocol};
use std::collections::BTreeSet;

/// What a listener asks for; `None` if its protocol is not known here.
pub(super) fn draft(owner: &ObjectId, spec: &ListenerSpec) -> Option<ListenerDraft> {
    let protocol = protocol(&spec.protocol)?;
    let host = match spec.hostname.as_deref() {
        Some(text) if !text.is_empty() => text.parse().ok()?,
        _ => HostPattern::Any,
    };
    let mode = spec.tls.as_ref().and_then(|it| it.mode.as_deref());
    let is_passthrough = protocol == ListenerProtocol::Tls && mode == Some("Passthrough");
    Some(ListenerDraft {
        owner: owner.clone(),
        section: spec.name.clone(),
        name: None,
        port: spec.port,
        protocol,
        is_passthrough,
        host,
        allowed: spec.allowed_routes.as_ref().and_then(|it| it.namespaces.clone()),
        kinds: kinds(protocol).to_vec(),
        is_accepted: true,
        addresses: Vec::new(),
        attached: BTreeSet::new(),
    })
}

fn protocol(text: &str) -> Option<ListenerProtocol> {
    match text {
        "HTTP" => Some(ListenerProtocol::Http),
        "HTTPS" => Some(ListenerProtocol::Https),
        "TLS" => Some(ListenerProtocol::Tls),
        "TCP" => Some(ListenerProtocol::Tcp),
        "UDP" => Some(ListenerProtocol::Udp),
        _ => None,
    }
}

/// Kinds of routes that a protocol takes.
const fn kinds(protocol: ListenerProtocol) -> &'static [&'static str] {
    match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => &["HTTPRoute", "GRPCRoute"],
        ListenerProtocol::Tls => &["TLSRoute"],
        ListenerProtocol::Tcp => &["TCPRoute"],
        ListenerProtocol::Udp => &["UDPRoute"],
    }
}
