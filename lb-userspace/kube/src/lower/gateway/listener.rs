//! One listener: what it asks for, judged by itself.

use super::{Draft, GROUP, ListenerDraft, Owner, Problem, tls};
use crate::api::{ListenerSpec, RouteGroupKind};
use lb_model::{HostPattern, ListenerProtocol};
use std::collections::BTreeSet;

/// What a listener asks for. What is wrong with it is noted there.
///
/// # Errors
/// Its protocol is not known.
pub(super) fn draft(
    draft: &mut Draft<'_>,
    owner: &Owner<'_>,
    spec: &ListenerSpec,
    frontend: &tls::Frontend,
) -> Result<ListenerDraft, Problem> {
    let protocol = protocol(spec)?;
    let mode = spec.tls.as_ref().and_then(|it| it.mode.as_deref()).filter(|it| !it.is_empty());
    let (kinds, invalid_kinds) = kinds(protocol, spec);
    let mut made = ListenerDraft {
        owner: owner.id.clone(),
        section: spec.name.clone(),
        name: None,
        port: spec.port,
        protocol,
        is_passthrough: protocol == ListenerProtocol::Tls && mode == Some("Passthrough"),
        host: HostPattern::Any,
        allowed: spec.allowed_routes.as_ref().and_then(|it| it.namespaces.clone()),
        kinds,
        addresses: Vec::new(),
        attached: BTreeSet::new(),
        tls: None,
        refusal: None,
        conflict: None,
        unresolved: invalid_kinds,
        overlaps: false,
    };
    match host(protocol, spec) {
        Ok(host) => made.host = host,
        Err(problem) => made.refusal = Some(problem),
    }
    if spec.port == 0 {
        made.refusal = Some(Problem::new("PortUnavailable", "0 is not a port"));
    }
    tls::terminate(draft, owner, spec, frontend, &mut made);
    Ok(made)
}

/// What is spoken.
///
/// # Errors
/// It is not known.
pub(super) fn protocol(spec: &ListenerSpec) -> Result<ListenerProtocol, Problem> {
    Ok(match spec.protocol.as_str() {
        "HTTP" => ListenerProtocol::Http,
        "HTTPS" => ListenerProtocol::Https,
        "TLS" => ListenerProtocol::Tls,
        "TCP" => ListenerProtocol::Tcp,
        "UDP" => ListenerProtocol::Udp,
        other => {
            let known = "HTTP, HTTPS, TLS, TCP and UDP are";
            let message = format!("the protocol {other} is not known, {known}");
            return Err(Problem::new("UnsupportedProtocol", message));
        }
    })
}

fn host(protocol: ListenerProtocol, spec: &ListenerSpec) -> Result<HostPattern, Problem> {
    match (protocol, spec.hostname.as_deref()) {
        (ListenerProtocol::Tcp | ListenerProtocol::Udp, _) | (_, None | Some("")) => {
            Ok(HostPattern::Any)
        }
        (_, Some(text)) => {
            text.parse().map_err(|error| Problem::new("UnsupportedValue", format!("{error}")))
        }
    }
}

/// Kinds of routes that may attach, and what is wrong with those that are named.
fn kinds(protocol: ListenerProtocol, spec: &ListenerSpec) -> (Vec<&'static str>, Option<Problem>) {
    let known = kinds_of(protocol);
    let named = spec.allowed_routes.as_ref().map(|it| it.kinds.as_slice()).unwrap_or_default();
    if named.is_empty() {
        return (known.to_vec(), None);
    }
    let find = |it: &RouteGroupKind| {
        let is_ours = it.group.as_deref().unwrap_or(GROUP) == GROUP;
        known.iter().copied().find(|kind| is_ours && *kind == it.kind)
    };
    let mut kinds: Vec<_> = named.iter().filter_map(find).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let invalid = named.iter().find(|it| find(it).is_none()).map(|it| {
        let message = format!("a {} listener takes no {}", spec.protocol, it.kind);
        Problem::new("InvalidRouteKinds", message)
    });
    (kinds, invalid)
}

const fn kinds_of(protocol: ListenerProtocol) -> &'static [&'static str] {
    match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => &["GRPCRoute", "HTTPRoute"],
        ListenerProtocol::Tls => &["TLSRoute"],
        ListenerProtocol::Tcp => &["TCPRoute"],
        ListenerProtocol::Udp => &["UDPRoute"],
    }
}
