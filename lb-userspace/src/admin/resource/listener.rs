//! `get listeners`.

use super::Kind;
use crate::{
    model::ListenerProtocol,
    proxy::snapshot::{Listener, Problem, Snapshot},
};
use serde::{Deserialize, Serialize};

/// A listener of the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerResource {
    /// Name.
    pub listener: String,
    /// `http`, `https`, `tls`, `tcp` or `udp`.
    pub protocol: String,
    /// Host that it serves; `*` = any.
    pub host: String,
    /// VIPs steered to it.
    pub vips: Vec<String>,
    /// Addresses bound the ordinary way.
    pub binds: Vec<String>,
    /// Names of the routes attached, those of sessions too.
    pub routes: Vec<String>,
    /// Connections that are open. Listeners that share an address count them at the first.
    pub connections_open: u32,
    /// Connections that may be open.
    pub connections_max: u32,
    /// Connections served.
    pub connections: u64,
    /// Connections refused because too many were open.
    pub connections_refused: u64,
    /// TLS handshakes that succeeded.
    pub handshakes: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Responses made here instead of by a backend, and sessions refused.
    pub refusals: u64,
    /// What does not work, a sentence each; empty = all is well.
    pub problems: Vec<String>,
}

impl Kind for ListenerResource {
    const LIST: &'static str = "ListenerList";
}

/// All listeners, by name. `problems` is what does not work of all that the proxy should do.
pub fn listeners(snapshot: &Snapshot, problems: &[Problem]) -> Vec<ListenerResource> {
    snapshot.listeners.values().map(|listener| resource(snapshot, problems, listener)).collect()
}

fn resource(snapshot: &Snapshot, problems: &[Problem], listener: &Listener) -> ListenerResource {
    let stats = listener.stats.sum();
    let binds: Vec<_> = listener.model.binds.iter().map(|it| it.address.to_string()).collect();
    let http = snapshot.wanted.routes.iter().map(|(name, it)| (name, &it.listeners));
    let streams = snapshot.wanted.stream_routes.iter().map(|(name, it)| (name, &it.listeners));
    let attached = http.chain(streams).filter(|(_, it)| it.contains(&*listener.name));
    let is_mine = |it: &&Problem| {
        it.object.strip_prefix("listener ").is_some_and(|name| *name == *listener.name)
            || it.object.strip_prefix("bind ").is_some_and(|it| binds.iter().any(|bind| bind == it))
    };
    ListenerResource {
        listener: listener.name.to_string(),
        protocol: protocol_name(listener.model.protocol).to_owned(),
        host: listener.model.host.to_string(),
        vips: listener.model.vips.iter().map(ToString::to_string).collect(),
        routes: attached.map(|(name, _)| name.clone()).collect(),
        connections_open: listener.limit.open(),
        connections_max: listener.model.connections_max,
        connections: stats.connections,
        connections_refused: listener.limit.refused(),
        handshakes: stats.handshakes,
        handshakes_failed: stats.handshakes_failed,
        refusals: stats.refusals.iter().sum(),
        problems: problems.iter().filter(is_mine).map(|it| it.why.clone()).collect(),
        binds,
    }
}

/// What a listener speaks, as the configuration calls it.
pub(in crate::admin) fn protocol_name(protocol: ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http => "http",
        ListenerProtocol::Https => "https",
        ListenerProtocol::Tls => "tls",
        ListenerProtocol::Tcp => "tcp",
        ListenerProtocol::Udp => "udp",
    }
}
