//! References to backends.

use super::{
    attach::Target,
    fault::{Failure, Findings, Unresolved},
    filter,
    source::Source,
};
use crate::{
    ObjectKey,
    api::{BackendRef, SessionPersistence},
    lower::{
        draft::Draft,
        gateway::GROUP,
        upstream::{Place, Wanted},
    },
};
use lb_model::{Filters, RequestMatch, RouteBackend, UpstreamProtocol};

/// A backend's weight, unless it says otherwise, and at most (Gateway API, `BackendRef.weight`).
const WEIGHT_DEFAULT: u32 = 1;
const WEIGHT_MAX: u32 = 1_000_000;

/// What the rules of a route are lowered with.
pub(super) struct Context<'c, 'w> {
    pub(super) draft: &'c mut Draft<'w>,
    pub(super) source: &'c Source<'w>,
    pub(super) target: &'c Target<'c>,
    pub(super) findings: &'c mut Findings,
}

impl<'c, 'w> Context<'c, 'w> {
    /// The upstream for a backend of requests; `None` = it cannot be used, which is noted.
    pub(super) fn upstream(
        &mut self,
        backend: &BackendRef,
        protocol: UpstreamProtocol,
    ) -> Option<String> {
        self.find(backend, protocol, false)
    }

    /// The upstream for a backend of connections; `None` = it cannot be used, which is noted.
    pub(super) fn stream_upstream(&mut self, backend: &BackendRef) -> Option<String> {
        self.find(backend, UpstreamProtocol::Auto, true)
    }

    fn find(
        &mut self,
        backend: &BackendRef,
        protocol: UpstreamProtocol,
        is_stream: bool,
    ) -> Option<String> {
        let wanted = self.wanted(backend, protocol, is_stream);
        match self.draft.upstream(&wanted) {
            Ok(name) => Some(name),
            Err(problem) => {
                self.findings.unresolved.push(problem.into());
                None
            }
        }
    }

    /// The endpoints of a backend that packets can be forwarded to as they are; `None` = the
    /// proxy is needed, if only to refuse.
    pub(super) fn forwardable(&mut self, backend: &BackendRef) -> Option<Vec<Place<'w>>> {
        let wanted = self.wanted(backend, UpstreamProtocol::Auto, true);
        self.draft.forwardable(&wanted).ok().flatten()
    }

    fn wanted<'b>(
        &self,
        backend: &'b BackendRef,
        protocol: UpstreamProtocol,
        is_stream: bool,
    ) -> Wanted<'b>
    where
        'c: 'b,
    {
        Wanted {
            clusters: &self.source.clusters,
            referrer: (GROUP, self.source.kind.name()),
            namespace: &self.source.key.namespace,
            backend,
            protocol,
            is_stream,
            client_certificate: self.target.certificate,
            ancestors: &self.target.gateways,
        }
    }

    /// How sessions are kept that a policy for the only backend of a rule wants to be kept.
    pub(super) fn persistence_of(&self, backends: &[BackendRef]) -> Option<&'w SessionPersistence> {
        let [backend] = backends else { return None };
        if backend.kind.as_deref().unwrap_or("Service") != "Service" {
            return None;
        }
        let namespace = backend.namespace.as_deref().unwrap_or(&self.source.key.namespace);
        let service = ObjectKey::new(namespace, &backend.name);
        self.draft.policies.traffic(&service)?.session_persistence.as_ref()
    }

    /// Notes a reference that leads nowhere.
    pub(super) fn note(&mut self, unresolved: Unresolved) {
        self.findings.unresolved.push(unresolved);
    }

    /// The backends of a rule. Filters of an only backend that cannot be run for one of several
    /// are left in `filters`, which are the rule's.
    pub(super) fn backends(
        &mut self,
        backends: &[BackendRef],
        matches: &[RequestMatch],
        protocol: UpstreamProtocol,
        filters: &mut Filters,
    ) -> Result<Vec<RouteBackend>, Failure> {
        // What is at fault is found before anything is referred to.
        let mut asked = Vec::new();
        for backend in backends {
            asked.push(match filter::lower(&backend.filters, matches) {
                Ok(asked) => Ok(asked),
                Err(Failure::Unresolved(why)) => Err(why),
                Err(fault) => return Err(fault),
            });
        }
        if backends.len() > 1 {
            for asked in asked.iter().flatten() {
                asked.suits_one_of_several()?;
            }
        }
        let mut lowered = Vec::new();
        for (backend, asked) in backends.iter().zip(asked) {
            let weight = weight(backend);
            let (upstream, own) = match asked {
                Ok(asked) => {
                    let own = self.referred(asked, protocol, filters)?;
                    (self.upstream(backend, protocol), own)
                }
                Err(why) => {
                    self.note(why);
                    (None, Filters::default())
                }
            };
            lowered.push(RouteBackend { upstream, weight, filters: own });
        }
        Ok(lowered)
    }

    /// What an only backend asks for that is the rule's to do goes to `rule`, the rest is its own.
    fn referred(
        &mut self,
        asked: filter::Asked<'_>,
        protocol: UpstreamProtocol,
        rule: &mut Filters,
    ) -> Result<Filters, Failure> {
        let all = asked.resolve(self, protocol)?;
        rule.mirrors.extend(all.mirrors);
        rule.cors = rule.cors.take().or(all.cors);
        rule.auth = rule.auth.take().or(all.auth);
        rule.answer = rule.answer.take().or(all.answer);
        Ok(Filters {
            request_headers: all.request_headers,
            rewrite: all.rewrite,
            response_headers: all.response_headers,
            ..Filters::default()
        })
    }
}

/// The share of a backend.
pub(super) fn weight(backend: &BackendRef) -> u32 {
    backend.weight.unwrap_or(WEIGHT_DEFAULT).min(WEIGHT_MAX)
}
