//! What all listeners of the proxy have in common, whatever objects ask for them.

use super::address::Assigned;
use lb_model::{
    Bind, CONNECTIONS_DEFAULT, HostPattern, HttpOptions, Listener, ListenerProtocol, ListenerTls,
    Protocol, SESSION_IDLE_DEFAULT, TlsVersion, Vip,
};
use std::{net::SocketAddr, time::Duration};

/// Sessions can be resumed for this long (the longest that RFC 8446, section 4.6.1, allows is 7
/// days; a day is what browsers keep).
const RESUMPTION: Duration = Duration::from_hours(24);

/// A listener at a port of these addresses: bound where they are the host's own, else at VIPs.
pub(super) fn listener(addresses: &[Assigned], port: u16, protocol: ListenerProtocol) -> Listener {
    let transport = match protocol {
        ListenerProtocol::Udp => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let (bound, vips): (Vec<&Assigned>, Vec<&Assigned>) = addresses.iter().partition(|it| it.bind);
    let vip = |it: &Assigned| Vip { address: it.address, port, protocol: transport };
    let bind = |it: &Assigned| Bind { address: SocketAddr::new(it.address, port) };
    Listener {
        vips: vips.into_iter().map(vip).collect(),
        binds: bound.into_iter().map(bind).collect(),
        protocol,
        host: HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: CONNECTIONS_DEFAULT,
        http: HttpOptions::default(),
        idle_timeout: SESSION_IDLE_DEFAULT,
    }
}

/// How TLS is terminated with these certificates, unless somebody says otherwise.
pub(super) const fn tls(certificates: Vec<String>) -> ListenerTls {
    ListenerTls {
        certificates,
        version_min: TlsVersion::V1_2,
        version_max: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        client: None,
        resumption: RESUMPTION,
        early_data: false,
    }
}
