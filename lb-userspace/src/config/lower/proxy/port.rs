//! Addresses and ports that several listeners share.

use crate::{
    config::{
        diagnostic::{Position, Report},
        lower::scalar,
    },
    model::{HostPattern, ListenerProtocol, Protocol},
};
use std::{collections::HashMap, net::SocketAddr};

/// Who listens at which address and port.
#[derive(Default)]
pub(super) struct Ports {
    sockets: HashMap<(SocketAddr, Protocol), Socket>,
}

/// What a listener does at each of its addresses.
pub(super) struct Speaks<'a> {
    pub(super) listener: &'a str,
    pub(super) protocol: ListenerProtocol,
    pub(super) host: &'a HostPattern,
    pub(super) takes_proxy_protocol: bool,
}

/// An address and port with its listeners, by host.
struct Socket {
    first: String,
    protocol: ListenerProtocol,
    takes_proxy_protocol: bool,
    at: Position,
    hosts: HashMap<HostPattern, Position>,
}

impl Ports {
    /// A listener wants an address and port. Reported if those who have it are in the way.
    pub(super) fn claim(
        &mut self,
        address: SocketAddr,
        wants: &Speaks<'_>,
        at: Position,
        report: &mut Report,
    ) {
        let socket =
            self.sockets.entry((address, transport(wants.protocol))).or_insert_with(|| {
                let hosts = HashMap::new();
                let (protocol, takes_proxy_protocol) = (wants.protocol, wants.takes_proxy_protocol);
                Socket {
                    first: wants.listener.to_owned(),
                    protocol,
                    takes_proxy_protocol,
                    at,
                    hosts,
                }
            });
        let other = scalar::other_at(socket.at);
        let listener = &socket.first;
        if family(socket.protocol) != family(wants.protocol) {
            let message = format!(
                "{address} is where listener `{listener}` speaks {}",
                family(socket.protocol)
            );
            report.error(at, message, format!("{other}; one port speaks one family of protocols"));
        } else if socket.takes_proxy_protocol != wants.takes_proxy_protocol {
            let message =
                format!("{address} is shared with listener `{listener}`, not its `proxy_protocol`");
            let hint = "its header comes before the host is known, so that all must agree";
            report.error(at, message, format!("{other}; {hint}"));
        } else if let Some(same) = socket.hosts.insert(wants.host.clone(), at) {
            let message = match wants.protocol {
                ListenerProtocol::Tcp | ListenerProtocol::Udp => {
                    format!("{address} has a listener already")
                }
                _ => format!("{address} has a listener for host `{}` already", wants.host),
            };
            report.error(at, message, scalar::other_at(same));
        }
    }
}

/// What carries a protocol.
pub(super) const fn transport(protocol: ListenerProtocol) -> Protocol {
    match protocol {
        ListenerProtocol::Udp => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}

/// Protocols of one family can be told apart on one port.
const fn family(protocol: ListenerProtocol) -> &'static str {
    match protocol {
        ListenerProtocol::Http => "HTTP in the clear",
        ListenerProtocol::Https | ListenerProtocol::Tls => "TLS",
        ListenerProtocol::Tcp => "TCP",
        ListenerProtocol::Udp => "UDP",
    }
}
