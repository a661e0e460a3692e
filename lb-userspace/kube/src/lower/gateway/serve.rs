//! From a listener of a Gateway to one of the proxy.

use super::{Assigned, Draft, ListenerDraft};
use crate::{ObjectKey, api::ListenerSpec};
use lb_model::{
    Bind, CONNECTIONS_DEFAULT, HttpOptions, Listener, ListenerProtocol, ListenerTls, Protocol,
    SESSION_IDLE_DEFAULT, TlsVersion, Vip,
};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

/// How long TLS sessions can be resumed.
const RESUMPTION: Duration = Duration::from_hours(24);

/// Serves a listener, if it has what it needs.
pub(super) fn serve(
    draft: &mut Draft<'_>,
    cluster: usize,
    name: String,
    spec: &ListenerSpec,
    listener: &mut ListenerDraft,
) {
    let needs_tls = listener.protocol == ListenerProtocol::Https
        || listener.protocol == ListenerProtocol::Tls && !listener.is_passthrough;
    let mut certificates = Vec::new();
    if needs_tls {
        for reference in spec.tls.iter().flat_map(|it| &it.certificate_refs) {
            let namespace = reference.namespace.as_deref();
            let own = listener.owner.key.namespace.as_str();
            let key = ObjectKey::new(namespace.unwrap_or(own), &reference.name);
            if let Ok(name) = draft.certificate(cluster, &key) {
                certificates.push(name);
            }
        }
    }
    if listener.addresses.is_empty() || needs_tls && certificates.is_empty() {
        return;
    }
    let tls = needs_tls.then_some(ListenerTls {
        certificates,
        version_min: TlsVersion::V1_2,
        version_max: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        client: None,
        resumption: RESUMPTION,
        early_data: false,
    });
    let (vips, binds) = places(listener);
    let model = Listener {
        vips,
        binds,
        protocol: listener.protocol,
        host: listener.host.clone(),
        tls,
        takes_proxy_protocol: false,
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
    let vip = |address| Vip { address, port, protocol };
    let bind = |address| Bind { address: SocketAddr::new(address, port) };
    (
        vips.into_iter().map(|it| vip(it.address)).collect(),
        binds.into_iter().map(|it| bind(it.address)).collect(),
    )
}
