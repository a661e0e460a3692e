//! TLS of the listeners of one address and port.

use super::{
    certificate::{Certificates, Loaded},
    client_auth::ClientVerification,
    policy::{Alpn, provider_for, versions},
    resolve::{Resolver, covers},
    session::Sessions,
};
use crate::host::{HostMap, normal};
use lb_model::{HostPattern, ListenerTls};
use rustls::{ServerConfig, server::NoClientAuth};
use serde::Serialize;
use std::sync::Arc;

/// TLS of the listeners of one address and port: the server name picks the listener. Shared by all
/// workers; a new configuration is a new one, and connections keep what they began with.
#[derive(Debug)]
pub struct ServerTls {
    listeners: Vec<Terminator>,
    by_host: HostMap<usize>,
}

/// A listener that terminates TLS.
#[derive(Clone, Debug)]
pub struct TlsListener<'a> {
    /// Its name.
    pub name: Arc<str>,
    /// Server names that it serves.
    pub host: &'a HostPattern,
    /// How it terminates TLS.
    pub tls: &'a ListenerTls,
    /// What it offers by ALPN.
    pub alpn: Alpn,
}

/// Whether a listener can terminate TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsListenerReport {
    /// Name of the listener.
    pub listener: Box<str>,
    /// Whether handshakes can succeed.
    pub is_usable: bool,
    /// What is wrong, even if some certificate can be used.
    pub problems: Vec<String>,
}

/// A listener, ready for handshakes.
#[derive(Debug)]
pub(super) struct Terminator {
    pub(super) name: Arc<str>,
    tls: ListenerTls,
    alpn: Alpn,
    certificates: Vec<Arc<Loaded>>,
    /// Why handshakes cannot succeed, or what is missing for some names.
    problems: Vec<String>,
    ready: Option<Ready>,
}

/// What a handshake needs.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Option<ClientVerification>,
    sessions: Sessions,
}

impl ServerTls {
    /// Makes the listeners ready. Sessions begun under `previous` can be resumed if the listener
    /// of the same name asks for the same but for its certificates; so a renewed certificate costs
    /// no client a full handshake, and a session never outlives the policy that it was made under.
    pub fn compile(
        listeners: &[TlsListener<'_>],
        certificates: &Certificates,
        previous: Option<&Self>,
    ) -> Self {
        let mut compiled = Self { listeners: Vec::new(), by_host: HostMap::default() };
        for listener in listeners {
            let before = previous.and_then(|it| it.named(&listener.name));
            compiled.by_host.insert(listener.host, compiled.listeners.len());
            compiled.listeners.push(Terminator::compile(listener, certificates, before));
        }
        compiled
    }

    /// Whether each listener can terminate TLS.
    pub fn report(&self) -> Vec<TlsListenerReport> {
        let report = |it: &Terminator| TlsListenerReport {
            listener: (*it.name).into(),
            is_usable: it.ready.is_some(),
            problems: it.problems.clone(),
        };
        self.listeners.iter().map(report).collect()
    }

    /// The listener whose host fits best. A request whose listener is not the one that took the
    /// connection's handshake is misdirected (421; Gateway API,
    /// `GatewayHTTPSListenerDetectMisdirectedRequests`).
    pub fn listener_for(&self, host: &str) -> Option<&Arc<str>> {
        self.terminator(Some(&normal(host))).map(|it| &it.name)
    }

    /// Which of a listener's certificates are for a host: their places in
    /// [`ListenerTls::certificates`].
    pub fn certificates_for(&self, listener: &str, host: &str) -> Vec<String> {
        let host = normal(host);
        let Some(terminator) = self.named(listener) else {
            return Vec::new();
        };
        let known = terminator.tls.certificates.iter().zip(&terminator.certificates);
        known.filter(|(_, loaded)| covers(loaded, &host)).map(|(name, _)| name.clone()).collect()
    }

    /// The listener for a server name, or for none.
    pub(super) fn terminator(&self, server_name: Option<&str>) -> Option<&Terminator> {
        let place = match server_name {
            Some(name) => self.by_host.find(name.as_bytes()),
            None => self.by_host.any(),
        };
        place.and_then(|place| self.listeners.get(*place))
    }

    fn named(&self, name: &str) -> Option<&Terminator> {
        self.listeners.iter().find(|it| &*it.name == name)
    }
}

impl Terminator {
    fn compile(
        listener: &TlsListener<'_>,
        certificates: &Certificates,
        before: Option<&Self>,
    ) -> Self {
        let mut problems = Vec::new();
        let mut loaded = Vec::with_capacity(listener.tls.certificates.len());
        for name in &listener.tls.certificates {
            match certificates.find(name) {
                Some(it) => {
                    problems.extend(it.key().err().map(|why| format!("certificate {name}: {why}")));
                    loaded.push(Arc::clone(it));
                }
                None => problems.push(format!("there is no certificate {name}")),
            }
        }
        let before = before.filter(|it| it.is_alike(listener));
        let same = before.filter(|it| it.shows(&loaded)).and_then(|it| it.ready.clone());
        let ready = same.or_else(|| {
            let sessions = before.and_then(|it| it.ready.as_ref()).map(|it| &it.sessions);
            let ready = Ready::new(listener, &loaded, sessions);
            ready.map_err(|why| problems.push(why)).ok()
        });
        Self {
            name: Arc::clone(&listener.name),
            tls: listener.tls.clone(),
            alpn: listener.alpn,
            certificates: loaded,
            problems,
            ready,
        }
    }

    /// What a handshake needs; nothing if it cannot succeed.
    pub(super) fn ready(&self) -> Option<&Ready> {
        self.ready.as_ref()
    }

    /// Whether all is as `listener` asks, certificates aside.
    fn is_alike(&self, listener: &TlsListener<'_>) -> bool {
        let ours = ListenerTls { certificates: Vec::new(), ..self.tls.clone() };
        let theirs = ListenerTls { certificates: Vec::new(), ..listener.tls.clone() };
        ours == theirs && self.alpn == listener.alpn
    }

    fn shows(&self, loaded: &[Arc<Loaded>]) -> bool {
        let pairs = || self.certificates.iter().zip(loaded);
        self.certificates.len() == loaded.len() && pairs().all(|(a, b)| a.digest() == b.digest())
    }
}

impl Ready {
    fn new(
        listener: &TlsListener<'_>,
        certificates: &[Arc<Loaded>],
        sessions: Option<&Sessions>,
    ) -> Result<Self, String> {
        let tls = listener.tls;
        let resolver = Resolver::new(certificates);
        if resolver.is_empty() {
            return Err("no certificate can be used".to_owned());
        }
        let clients = tls.client.as_ref().map(ClientVerification::new).transpose()?;
        let verifier = clients
            .as_ref()
            .map_or_else(|| Arc::new(NoClientAuth) as _, ClientVerification::verifier);
        let mut config = ServerConfig::builder_with_provider(provider_for(tls)?)
            .with_protocol_versions(&versions(tls))
            .map_err(|error| format!("versions and cipher suites: {error}"))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(resolver));
        let sessions = match sessions {
            Some(sessions) => sessions.clone(),
            None => Sessions::new(tls.resumption, tls.early_data)
                .map_err(|error| format!("keys of tickets: {error}"))?,
        };
        sessions.apply(&mut config);
        config.alpn_protocols = listener.alpn.protocols();
        config.ignore_client_order = true;
        Ok(Self { config: Arc::new(config), clients, sessions })
    }
}
