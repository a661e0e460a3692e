//! Who claims which path of which host.

use super::Wishes;
use crate::{ObjectKey, lower::age::created};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressTLS};
use lb_model::{HostPattern, PathMatch};

/// An Ingress of ours; those of one key in several clusters are one, and the first rules.
pub(super) struct Source<'a> {
    pub(super) key: &'a ObjectKey,
    /// Clusters that have it.
    pub(super) clusters: Vec<usize>,
    pub(super) ingress: &'a Ingress,
    pub(super) wishes: Wishes,
    /// What of it cannot be served.
    pub(super) problems: Vec<String>,
}

/// A path of a host: claimed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) host: HostPattern,
    pub(super) kind: PathKind,
    pub(super) path: String,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathKind {
    Exact,
    Prefix,
    /// An expression at the begin of the path, whatever its case, as nginx takes it (`~*`).
    Regex,
}

/// Who answers a claim.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Place among the sources.
    pub(super) source: usize,
    pub(super) backend: IngressBackend,
}

impl<'a> Source<'a> {
    pub(super) fn new(key: &'a ObjectKey, clusters: Vec<usize>, ingress: &'a Ingress) -> Self {
        Self {
            key,
            clusters,
            ingress,
            wishes: Wishes::new(ingress.metadata.annotations.as_ref()),
            problems: Vec::new(),
        }
    }

    /// The older, the smaller; among equals by name.
    pub(super) fn age(&self) -> (u64, &'a ObjectKey) {
        (created(self.ingress), self.key)
    }

    /// What it claims, in order.
    pub(super) fn claims(&self) -> Vec<(Claim, IngressBackend)> {
        let mut claims = Vec::new();
        let Some(spec) = &self.ingress.spec else { return claims };
        if let Some(backend) = &spec.default_backend {
            claims.push((Claim::all(HostPattern::Any), backend.clone()));
        }
        for rule in spec.rules.iter().flatten() {
            // The API server has looked at it: what is no host is claimed by nobody.
            let host = rule.host.as_deref().filter(|it| !it.is_empty());
            let Ok(host) = host.map_or(Ok(HostPattern::Any), str::parse) else { continue };
            let paths = rule.http.iter().flat_map(|it| &it.paths);
            for path in paths {
                claims.push((self.claim(host.clone(), path), path.backend.clone()));
            }
        }
        claims
    }

    /// Certificates it names, with their hosts.
    pub(super) fn tls(&self) -> impl Iterator<Item = &'a IngressTLS> + use<'a> {
        let ingress = self.ingress;
        ingress.spec.iter().flat_map(|it| it.tls.iter().flatten())
    }

    /// Whether its section `tls` means `host`.
    pub(super) fn is_secure(&self, host: &HostPattern) -> bool {
        let text = host.to_string();
        let means = |name: &String| match name.strip_prefix("*.") {
            Some(domain) => {
                let rest = text.strip_suffix(domain).and_then(|it| it.strip_suffix('.'));
                *name == text || rest.is_some_and(|it| !it.is_empty() && !it.contains('.'))
            }
            None => *name == text,
        };
        self.tls()
            .any(|it| it.hosts.as_ref().is_none_or(|it| it.is_empty() || it.iter().any(means)))
    }

    fn claim(&self, host: HostPattern, path: &HTTPIngressPath) -> Claim {
        let text = path.path.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| "/".to_owned());
        let target = self.wishes.text("rewrite-target").unwrap_or_default();
        let is_regex = self.wishes.is_on("use-regex") || target.contains('$');
        let kind = match path.path_type.as_str() {
            "Exact" => PathKind::Exact,
            _ if is_regex => PathKind::Regex,
            _ => PathKind::Prefix,
        };
        Claim { host, kind, path: text }
    }
}

impl Claim {
    fn all(host: HostPattern) -> Self {
        Self { host, kind: PathKind::Prefix, path: "/".to_owned() }
    }

    /// What the path must look like.
    pub(super) fn path_match(&self) -> PathMatch {
        match self.kind {
            PathKind::Exact => PathMatch::Exact(self.path.clone()),
            PathKind::Prefix => PathMatch::Prefix(self.path.clone()),
            PathKind::Regex => PathMatch::Regex(format!("{}.*", self.expression())),
        }
    }

    /// The expression of a [`PathKind::Regex`], from the path's begin.
    pub(super) fn expression(&self) -> String {
        format!("^(?i:{})", self.path.trim_start_matches('^'))
    }
}
