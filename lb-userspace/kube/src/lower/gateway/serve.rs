//! From a listener of a Gateway to one of the proxy.

use super::{Assigned, Draft, ListenerDraft};
use lb_model::{
    Bind, CONNECTIONS_DEFAULT, HttpOptions, Listener, ListenerProtocol, Protocol,
    SESSION_IDLE_DEFAULT, Vip,
};
use std::{collections::BTreeSet, net::SocketAddr};

/// Serves a listener, if it has what it needs.
pub(super) fn serve(draft: &mut Draft<'_>, name: String, listener: &mut ListenerDraft) {
    if listener.addresses.is_empty() || !listener.is_servable() {
        return;
    }
    let (vips, binds) = places(listener);
    let model = Listener {
        vips,
        binds,
        protocol: listener.protocol,
        host: listener.host.clone(),
        tls: listener.tls.clone(),
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: CONNECTIONS_DEFAULT,
        http: HttpOptions::default(),
        idle_timeout: SESSION_IDLE_DEFAULT,
    };
    draft.desired.proxy.listeners.insert(name.clone(), model);
    listener.name = Some(name);
}

fn places(listener: &ListenerDraft) -> (BTreeSet<Vip>, BTreeSet<Bind>) {
    let protocol = match listener.protocol {
        ListenerProtocol::Udp => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let port = listener.port;
    let (binds, vips): (Vec<Assigned>, Vec<Assigned>) =
        listener.addresses.iter().partition(|it| it.bind);
    let vip = |it: Assigned| Vip { address: it.address, port, protocol };
    let bind = |it: Assigned| Bind { address: SocketAddr::new(it.address, port) };
    (vips.into_iter().map(vip).collect(), binds.into_iter().map(bind).collect())
}
