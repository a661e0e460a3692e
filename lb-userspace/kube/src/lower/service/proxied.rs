//! Ports of Services that go through the proxy.

use super::{
    Ours, Wishes,
    port::{Port, is_near, reference, wanted},
};
use crate::lower::{address::Assigned, draft::Draft, name::fitted, upstream::PortKey};
use lb_model::{
    Affinity, Balance, Bind, CONNECTIONS_DEFAULT, HashKey, HttpOptions, Listener, ListenerProtocol,
    Protocol, SESSION_IDLE_DEFAULT, StreamBackend, StreamRoute, Vip,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

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
    let is_udp = port.protocol == Protocol::Udp;
    if is_udp && wishes.proxy_protocol.is_some() {
        return Err("the PROXY protocol is for connections, not for UDP".to_owned());
    }
    let upstream = upstream(draft, ours, wishes, port)?;
    let name = fitted(name);
    let (binds, vips): (Vec<Assigned>, Vec<Assigned>) = addresses.iter().partition(|it| it.bind);
    let listener = Listener {
        vips: vips.into_iter().map(|it| vip(it.address, port)).collect(),
        binds: binds
            .into_iter()
            .map(|it| Bind { address: SocketAddr::new(it.address, port.number) })
            .collect(),
        protocol: if is_udp { ListenerProtocol::Udp } else { ListenerProtocol::Tcp },
        host: lb_model::HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: wishes.sources.clone(),
        connections_max: CONNECTIONS_DEFAULT,
        http: HttpOptions::default(),
        idle_timeout: wishes.idle_timeout.unwrap_or(SESSION_IDLE_DEFAULT),
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

const fn vip(address: IpAddr, port: &Port<'_>) -> Vip {
    Vip { address, port: port.number, protocol: port.protocol }
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
    let Some(mut upstream) = draft.desired.proxy.upstreams.get(&name).cloned() else {
        return Ok(name);
    };
    if wishes.affinity == Affinity::Source {
        upstream.balance = Balance::Maglev(HashKey::Source);
        name.push_str(" +source");
    }
    if wishes.node.is_some() {
        let near = near(draft, ours, wishes, port);
        upstream.endpoints.retain(|name, _| near.contains(name));
        name.push_str(" +local");
    }
    draft.desired.proxy.upstreams.insert(name.clone(), upstream);
    Ok(name)
}

/// Names of the endpoints on the node.
fn near(draft: &Draft<'_>, ours: &Ours<'_>, wishes: &Wishes, port: &Port<'_>) -> BTreeSet<String> {
    let key = PortKey {
        clusters: ours.clusters.clone(),
        object: ours.key.clone(),
        port: port.number,
        is_udp: port.protocol == Protocol::Udp,
    };
    let ports = draft.service_ports(&key).unwrap_or_default();
    let places = ports.iter().flat_map(|it| draft.places(it).unwrap_or_default());
    places.filter(|it| is_near(it, wishes)).map(|it| it.name).collect()
}
