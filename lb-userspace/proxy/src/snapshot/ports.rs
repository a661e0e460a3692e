//! Listeners by where clients connect.

use super::{Listener, Problem};
use crate::{
    host::HostMap,
    secure::{Alpn, Certificates, ServerTls, TlsListener},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Listeners by where clients connect.
#[derive(Clone, Default)]
pub struct Ports(HashMap<SocketAddr, Arc<Port>, foldhash::fast::RandomState>);

/// The listeners of one address and port.
pub struct Port {
    /// The listeners, by name.
    pub listeners: Vec<Arc<Listener>>,
    /// How TLS is terminated, if it is.
    pub tls: Option<Arc<ServerTls>>,
    /// Places in `listeners` by host or server name.
    by_host: Arc<HostMap<usize>>,
    /// Listeners that cannot terminate TLS as they should.
    problems: Arc<[Problem]>,
}

/// A listener as it was and as it is.
pub(super) type ListenerChange = (Option<Arc<Listener>>, Option<Arc<Listener>>);

impl Ports {
    /// What becomes of `previous` when listeners change. `is_same` = certificates are as they were.
    pub(super) fn compile(
        previous: &Self,
        changes: &[ListenerChange],
        is_udp: bool,
        certificates: &Certificates,
        is_same: bool,
    ) -> Self {
        let mut changed: BTreeMap<SocketAddr, Vec<&Arc<Listener>>> = BTreeMap::new();
        let mut gone: HashSet<*const Listener> = HashSet::new();
        for (before, after) in changes {
            if let Some(before) = before.as_ref().filter(|it| it.is_udp() == is_udp) {
                gone.insert(Arc::as_ptr(before));
                for address in addresses(before) {
                    changed.entry(address).or_default();
                }
            }
            if let Some(after) = after.as_ref().filter(|it| it.is_udp() == is_udp) {
                for address in addresses(after) {
                    changed.entry(address).or_default().push(after);
                }
            }
        }
        let mut ports = previous.clone();
        if !is_same {
            let secure = previous.0.iter().filter(|(_, port)| port.tls.is_some());
            for (address, _) in secure {
                changed.entry(*address).or_default();
            }
        }
        for (address, new) in changed {
            let before = ports.0.remove(&address);
            let kept = before.iter().flat_map(|it| &it.listeners);
            let kept = kept.filter(|it| !gone.contains(&Arc::as_ptr(it)));
            let mut listeners: Vec<_> = kept.chain(new).cloned().collect();
            listeners.sort_by(|one, other| one.name.cmp(&other.name));
            if !listeners.is_empty() {
                let port = Port::compile(listeners, certificates, before.as_deref(), is_same);
                ports.0.insert(address, Arc::new(port));
            }
        }
        ports
    }

    /// What is wrong with listeners.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.0.values().flat_map(|it| &*it.problems)
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
        before: Option<&Self>,
        is_same: bool,
    ) -> Self {
        // Only their routes are others.
        let same = before.filter(|it| is_same && it.is_of(&listeners));
        if let Some(Self { tls, by_host, problems, .. }) = same {
            let (tls, by_host, problems) = (tls.clone(), Arc::clone(by_host), Arc::clone(problems));
            return Self { listeners, tls, by_host, problems };
        }
        let mut by_host = HostMap::default();
        for (place, listener) in listeners.iter().enumerate() {
            by_host.insert(&listener.model.host, place);
        }
        let terminating: Vec<_> = listeners.iter().filter_map(tls_of).collect();
        let before = before.and_then(|it| it.tls.as_deref());
        let tls = (!terminating.is_empty())
            .then(|| ServerTls::compile(&terminating, certificates, before));
        let reports = tls.iter().flat_map(ServerTls::report).flat_map(|it| {
            let object = format!("listener {}", it.listener);
            it.problems.into_iter().map(move |why| Problem { object: object.clone(), why })
        });
        let problems = reports.collect();
        Self { listeners, tls: tls.map(Arc::new), by_host: Arc::new(by_host), problems }
    }

    /// Whether it was compiled of listeners like these.
    fn is_of(&self, listeners: &[Arc<Listener>]) -> bool {
        let mut pairs = self.listeners.iter().zip(listeners);
        self.listeners.len() == listeners.len()
            && pairs.all(|(one, it)| one.name == it.name && one.model == it.model)
    }

    /// The listener that serves a host (lower case) or server name best; for none, that of any.
    pub fn listener_for(&self, host: Option<&str>) -> Option<&Arc<Listener>> {
        match host {
            Some(host) => self.listener_of(host.as_bytes()),
            None => self.by_host.any().and_then(|place| self.listeners.get(*place)),
        }
    }

    /// The listener that serves a host (lower case) best.
    pub fn listener_of(&self, host: &[u8]) -> Option<&Arc<Listener>> {
        self.by_host.find(host).and_then(|place| self.listeners.get(*place))
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

/// Where clients connect to a listener.
fn addresses(listener: &Listener) -> impl Iterator<Item = SocketAddr> {
    let vips = listener.model.vips.iter().map(|it| SocketAddr::new(it.address, it.port));
    vips.chain(listener.model.binds.iter().map(|it| it.address))
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
