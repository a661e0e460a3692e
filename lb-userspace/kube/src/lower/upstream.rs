//! What a reference to a backend becomes: an upstream of endpoints.

use super::draft::Draft;
use crate::{ObjectKey, api::BackendRef};
use lb_model::UpstreamProtocol;

/// A backend that is referred to.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// Clusters whose objects it is looked for in, by place in the configuration: those that have
    /// the object that refers. The first's Service rules, endpoints are the union.
    pub(super) clusters: &'a [usize],
    /// Group and kind of who refers, for grants; `Ingress` needs none beyond its namespace.
    pub(super) referrer: (&'static str, &'static str),
    /// Namespace of who refers.
    pub(super) namespace: &'a str,
    /// What it refers to. Its filters and weight are not looked at.
    pub(super) backend: &'a BackendRef,
    /// What is spoken unless `appProtocol` or an XBackend says otherwise.
    pub(super) protocol: UpstreamProtocol,
    /// It is for TCP, TLS or UDP: what is spoken does not count, BackendTLSPolicy does.
    pub(super) is_stream: bool,
    /// The Gateway's certificate for backends, by name in `Desired`.
    pub(super) client_certificate: Option<&'a str>,
    /// The Gateways of the route, told in the status of policies.
    pub(super) ancestors: &'a [crate::api::ParentRef],
}

/// Why a backend cannot be used. Reasons are those of the condition `ResolvedRefs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BackendProblem {
    /// `InvalidKind`.
    #[error("backends of kind {0} are not known")]
    Kind(String),
    /// `RefNotPermitted`.
    #[error("no ReferenceGrant allows to refer to {0}")]
    NotPermitted(ObjectKey),
    /// `BackendNotFound`.
    #[error("{0} is not there")]
    NotFound(String),
    /// `UnsupportedProtocol`.
    #[error("its appProtocol {0} cannot be spoken here")]
    Protocol(String),
    /// `UnsupportedValue`, such as an ExternalName that is not allowed.
    #[error("{0}")]
    Refused(String),
}

impl BackendProblem {
    /// The reason for the condition `ResolvedRefs`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Kind(_) => "InvalidKind",
            Self::NotPermitted(_) => "RefNotPermitted",
            Self::NotFound(_) => "BackendNotFound",
            Self::Protocol(_) => "UnsupportedProtocol",
            Self::Refused(_) => "UnsupportedValue",
        }
    }
}

impl Draft<'_> {
    /// The name in [`lb_model::Proxy::upstreams`] of the upstream for a backend, added if it is
    /// not there yet.
    pub(super) fn upstream(&mut self, wanted: &Wanted<'_>) -> Result<String, BackendProblem> {
        Err(BackendProblem::NotFound(format!("Service {}", wanted.backend.name)))
    }
}
