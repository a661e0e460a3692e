//! Listeners by where clients connect.

use super::{Listener, Problem};
use crate::{
    host::HostMap,
    secure::{Alpn, Certificates, ServerTls, TlsListener},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Listeners by where clients connect.
#[derive(Default)]
pub struct Ports(HashMap<SocketAddr, Arc<Port>, foldhash::fast::RandomState>);

/// The listeners of one address and port.
pub struct Port {
    /// The listeners, by name.
    pub listeners: Vec<Arc<Listener>>,
    /// How TLS is terminated, if it is.
    pub tls: Option<ServerTls>,
    /// Places in `listeners` by host or server name.
    by_host: HostMap<usize>,
}

impl Ports {
    pub(super) fn compile(
        listeners: &[Arc<Listener>],
        previous: &Self,
        certificates: &Certificates,
        is_udp: bool,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut grouped: BTreeMap<SocketAddr, Vec<Arc<Listener>>> = BTreeMap::new();
        for listener in listeners.iter().filter(|it| it.is_udp() == is_udp) {
            let vips = listener.model.vips.iter().map(|it| SocketAddr::new(it.address, it.port));
            let binds = listener.model.binds.iter().map(|it| it.address);
            for address in vips.chain(binds) {
                grouped.entry(address).or_default().push(Arc::clone(listener));
            }
        }
        let ports = grouped.into_iter().map(|(address, listeners)| {
            let before = previous.0.get(&address).and_then(|it| it.tls.as_ref());
            let port = Port::compile(listeners, certificates, before);
            for report in port.tls.iter().flat_map(ServerTls::report) {
                let problem = |why: &String| Problem {
                    object: format!("listener {}", report.listener),
                    why: why.clone(),
                };
                problems.extend(report.problems.iter().map(problem));
            }
            (address, Arc::new(port))
        });
        let ports = ports.collect();
        // A listener with several addresses says what is wrong with it once.
        problems.sort_by(|one, other| (&one.object, &one.why).cmp(&(&other.object, &other.why)));
        problems.dedup();
        Self(ports)
    }

    /// The listeners of the address that a client connected to.
    pub fn find(&self, local: SocketAddr) -> Option<&Arc<Port>> {
        let any: IpAddr = match local {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Flow label and scope do not tell listeners apart.
        let exact = SocketAddr::new(local.ip(), local.port());
        self.0.get(&exact).or_else(|| self.0.get(&SocketAddr::new(any, local.port())))
    }

    /// The listeners of this very address, not those of all addresses.
    pub fn exactly(&self, address: SocketAddr) -> Option<&Arc<Port>> {
        self.0.get(&address)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&SocketAddr, &Arc<Port>)> {
        self.0.iter()
    }
}

impl Port {
    fn compile(
        listeners: Vec<Arc<Listener>>,
        certificates: &Certificates,
        before: Option<&ServerTls>,
    ) -> Self {
        let mut by_host = HostMap::default();
        for (place, listener) in listeners.iter().enumerate() {
            by_host.insert(&listener.model.host, place);
        }
        let terminating: Vec<_> = listeners.iter().filter_map(tls_of).collect();
        let tls = (!terminating.is_empty())
            .then(|| ServerTls::compile(&terminating, certificates, before));
        Self { listeners, tls, by_host }
    }

    /// The listener that serves a host (lower case) or server name best; for none, that of any.
    pub fn listener_for(&self, host: Option<&str>) -> Option<&Arc<Listener>> {
        let place = match host {
            Some(host) => self.by_host.find(host.as_bytes()),
            None => self.by_host.any(),
        };
        place.and_then(|place| self.listeners.get(*place))
    }

    /// The listener of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Listener>> {
        self.listeners.iter().find(|it| &*it.name == name)
    }

    /// The listener that tells how connections begin: all of a port agree on that.
    pub fn first(&self) -> Option<&Arc<Listener>> {
        self.listeners.first()
    }
}

fn tls_of(listener: &Arc<Listener>) -> Option<TlsListener<'_>> {
    let tls = listener.model.tls.as_ref()?;
    let alpn = match (listener.model.protocol, listener.model.http.http2) {
        (lb_model::ListenerProtocol::Https, true) => Alpn::Http2,
        (lb_model::ListenerProtocol::Https, false) => Alpn::Http1,
        _ => Alpn::None,
    };
    let (name, host) = (Arc::clone(&listener.name), &listener.model.host);
    Some(TlsListener { name, host, tls, alpn })
}
