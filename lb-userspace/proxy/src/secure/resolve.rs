//! Which of a listener's certificates a client is shown.

use super::{
    certificate::Loaded,
    names::{is_for, tail_of},
    policy::now_s,
};
use crate::host::normal;
use foldhash::HashMap;
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Certificates of a listener by what they are for.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Usable ones, in the listener's order. The first is the default.
    all: Vec<(Arc<Loaded>, Arc<CertifiedKey>)>,
    exact: HashMap<Box<str>, Places>,
    /// By what follows the asterisk.
    wildcards: HashMap<Box<str>, Places>,
}

type Places = SmallVec<[u16; 2]>;

impl Resolver {
    /// Those of `certificates` whose key can be used.
    pub(super) fn new(certificates: &[Arc<Loaded>]) -> Self {
        let usable = certificates
            .iter()
            .filter_map(|loaded| Some((Arc::clone(loaded), Arc::clone(loaded.key().ok()?))));
        let mut resolver = Self {
            all: usable.take(usize::from(u16::MAX)).collect(),
            exact: HashMap::default(),
            wildcards: HashMap::default(),
        };
        for (place, (loaded, _)) in resolver.all.iter().enumerate() {
            for name in &loaded.leaf().names.dns {
                let (map, key) = match name.strip_prefix('*') {
                    Some(tail) => (&mut resolver.wildcards, tail),
                    None => (&mut resolver.exact, name.as_str()),
                };
                map.entry(key.into()).or_default().push(place as u16);
            }
        }
        resolver
    }

    /// Whether there is none that could be shown.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The certificate for a server name and what the client can verify.
    fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<&Arc<CertifiedKey>> {
        let now_s = now_s();
        let name = name.map(normal);
        let exact = name.as_deref().and_then(|name| self.exact.get(name));
        let wildcard = name.as_deref().and_then(tail_of).and_then(|tail| self.wildcards.get(tail));
        [exact, wildcard]
            .into_iter()
            .flatten()
            .find_map(|places| self.best(places, schemes, now_s))
            .or_else(|| self.default(schemes))
    }

    /// Of several that are for the same name: one that is valid now, then the one that the client
    /// likes best, then the first.
    fn best(
        &self,
        places: &[u16],
        schemes: &[SignatureScheme],
        now_s: i64,
    ) -> Option<&Arc<CertifiedKey>> {
        let candidates = || places.iter().filter_map(|place| self.all.get(usize::from(*place)));
        let valid = |(loaded, _): &&(Arc<Loaded>, _)| loaded.leaf().is_valid_at(now_s);
        let liked = |scheme: &SignatureScheme, is_valid: bool| {
            candidates()
                .filter(|it| valid(it) == is_valid)
                .find(|(_, key)| can_sign(key, std::slice::from_ref(scheme)))
        };
        [true, false]
            .into_iter()
            .find_map(|is_valid| schemes.iter().find_map(|scheme| liked(scheme, is_valid)))
            .map(|(_, key)| key)
    }

    /// The first that the client can verify at all.
    fn default(&self, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        self.all.iter().map(|(_, key)| key).find(|key| can_sign(key, schemes))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes()).map(Arc::clone)
    }
}

/// Whether a certificate is for a host.
pub(super) fn covers(loaded: &Loaded, host: &str) -> bool {
    loaded.leaf().names.dns.iter().any(|name| is_for(name, host))
}

fn can_sign(key: &CertifiedKey, schemes: &[SignatureScheme]) -> bool {
    key.key.choose_scheme(schemes).is_some()
}
