//! Ports of Services that go through the proxy.

use super::{
    Ours, Wishes,
    port::{Port, is_near, reference, wanted},
};
use crate::lower::{address::Assigned, draft::Draft, listener, name::fitted, upstream::PortKey};
use lb_model::{
    Affinity, Balance, HashKey, Listener, ListenerProtocol, Protocol, SESSION_IDLE_DEFAULT,
    StreamBackend, StreamRoute, Upstream,
};
use std::collections::BTreeSet;

/// Serves a port at these addresses.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn serve(
    draft: &mut Draft<'_>,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
    name: String,
    addresses: &[Assigned],
) -> Result<(), String> {
    if port.protocol == Protocol::Sctp {
        let message = "SCTP is forwarded packet by packet: not with the PROXY protocol, not to a \
                       name, not at an address of this host";
        return Err(message.to_owned());
    }
    let is_udp = port.protocol == Protocol::Udp;
    if is_udp && wishes.proxy_protocol.is_some() {
        return Err("the PROXY protocol is for connections, not for UDP".to_owned());
    }
    let upstream = upstream(draft, ours, wishes, port)?;
    let name = fitted(name);
    let protocol = if is_udp { ListenerProtocol::Udp } else { ListenerProtocol::Tcp };
    let listener = Listener {
        sources: wishes.sources.clone(),
        idle_timeout: wishes.idle_timeout.unwrap_or(SESSION_IDLE_DEFAULT),
        ..listener::listener(addresses, port.number, protocol)
    };
    draft.desired.proxy.listeners.insert(name.clone(), listener);
    let route = StreamRoute {
        listeners: BTreeSet::from([name.clone()]),
        hosts: BTreeSet::new(),
        age: ours.age,
        backends: vec![StreamBackend { upstream: Some(upstream), weight: 1 }],
    };
    draft.desired.proxy.stream_routes.insert(name, route);
    Ok(())
}

/// The upstream of a port: that of its routes, or one of its own where the Service asks for more.
fn upstream(
    draft: &mut Draft<'_>,
    ours: &Ours<'_>,
    wishes: &Wishes,
    port: &Port<'_>,
) -> Result<String, String> {
    let backend = reference(ours, port);
    let mut name = draft.upstream(&wanted(ours, &backend, port)).map_err(|it| it.to_string())?;
    if wishes.affinity == Affinity::None && wishes.node.is_none() {
        return Ok(name);
    }
    let Some(plain) = draft.desired.proxy.upstreams.get(&name) else { return Ok(name) };
    let mut upstream = Upstream::clone(plain);
    if wishes.affinity == Affinity::Source {
        upstream.balance = Balance::Maglev(HashKey::Source);
        name.push_str(" +source");
    }
    if wishes.node.is_some() {
        let near = near(draft, ours, wishes, port);
        upstream.endpoints.retain(|name, _| near.contains(name));
        name.push_str(" +local");
    }
    draft.desired.proxy.upstreams.insert(name.clone(), upstream.into());
    Ok(name)
}

/// Names of the endpoints on the node.
fn near(draft: &Draft<'_>, ours: &Ours<'_>, wishes: &Wishes, port: &Port<'_>) -> BTreeSet<String> {
    let key = PortKey {
        clusters: ours.clusters.clone(),
        object: ours.key.clone(),
        port: port.number,
        protocol: port.protocol,
    };
    let ports = draft.service_ports(&key).unwrap_or_default();
    let places = ports.iter().flat_map(|it| draft.places(it).unwrap_or_default());
    places.filter(|it| is_near(it, wishes)).map(|it| it.name).collect()
}
