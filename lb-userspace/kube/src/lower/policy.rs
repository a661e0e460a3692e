//! Policies about how backends are spoken to: `BackendTLSPolicy`, `XBackendTrafficPolicy`.
//!
//! Of two policies for one port of a Service the older is in force, and a policy for the port wins
//! over one for the whole Service.

use super::{
    age::created,
    condition::Problem,
    draft::Draft,
    index::{Index, Merged},
};
use crate::{
    Condition, ObjectKey, ObjectKind, Status, Store,
    api::{
        BackendTLSPolicy, BackendTlsValidation, ParentRef, PolicyTarget, XBackendTrafficPolicy,
        XBackendTrafficPolicySpec,
    },
    lowered::ParentReport,
};
use k8s_openapi::api::core::v1::Service;
use lb_model::{SubjectAltName, UpstreamTls, Verify};
use std::collections::{BTreeMap, BTreeSet};

/// Ancestors that a policy's status may name (Gateway API, `PolicyStatus.ancestors`).
const ANCESTORS_MAX: usize = 16;

/// What is said of a traffic policy in force: the budget here has no interval, and persistence
/// belongs to rules of routes.
const TRAFFIC: &str = "it is in force: the budget is a share of the requests under way, \
    and sessions are kept by rules that have no other backend";

/// Policies of both kinds, and by whom their Services are in use.
#[derive(Default)]
pub(super) struct Policies<'a> {
    tls: Kind<'a, BackendTLSPolicy>,
    traffic: Kind<'a, XBackendTrafficPolicy>,
    ancestors: BTreeMap<ObjectKey, Vec<ParentRef>>,
}

/// Policies of one kind.
struct Kind<'a, T> {
    /// All, those of one key in several clusters together.
    all: Merged<'a, T>,
    /// Services that they are for.
    targets: BTreeSet<ObjectKey>,
    /// Which is in force, by Service and port name (empty = all ports).
    by_target: BTreeMap<(ObjectKey, &'a str), (usize, &'a T)>,
}

impl<T> Default for Kind<'_, T> {
    fn default() -> Self {
        Self { all: Merged::new(), targets: BTreeSet::new(), by_target: BTreeMap::new() }
    }
}

/// A `BackendTLSPolicy` that is in force.
pub(super) struct TlsPolicy {
    /// Its name; it is in the Service's namespace.
    pub(super) name: String,
    /// How TLS is spoken; an error, for people: the backend must not be spoken to at all.
    pub(super) tls: Result<UpstreamTls, String>,
}

impl<'a> Policies<'a> {
    pub(super) fn new(index: &Index<'a>) -> Self {
        Self {
            tls: Kind::new(index, |it| &it.backend_tls_policies),
            traffic: Kind::new(index, |it| &it.traffic_policies),
            ancestors: BTreeMap::new(),
        }
    }

    /// Notes that routes of these Gateways refer to a Service.
    pub(super) fn note(&mut self, service: &ObjectKey, ancestors: &[ParentRef]) {
        if ancestors.is_empty() {
            return;
        }
        let noted = self.ancestors.entry(service.clone()).or_default();
        for ancestor in ancestors {
            if !noted.contains(ancestor) {
                noted.push(ancestor.clone());
            }
        }
    }

    /// Whether a policy is for a Service.
    pub(super) fn is_target(&self, service: &ObjectKey) -> bool {
        self.tls.targets.contains(service) || self.traffic.targets.contains(service)
    }

    /// What the `XBackendTrafficPolicy` that is in force for a Service says.
    pub(super) fn traffic(&self, service: &ObjectKey) -> Option<&'a XBackendTrafficPolicySpec> {
        let spec = self.traffic.of(service, None).map(|(_, policy)| &policy.spec)?;
        unserved(spec).is_none().then_some(spec)
    }
}

impl Draft<'_> {
    /// The `BackendTLSPolicy` that is in force for a port of a Service, by the port's name.
    pub(super) fn tls_policy(
        &self,
        service: &ObjectKey,
        port_name: Option<&str>,
    ) -> Option<TlsPolicy> {
        let (cluster, policy) = self.policies.tls.of(service, port_name)?;
        let name = policy.metadata.name.clone().unwrap_or_default();
        let checked = self.check_validation(cluster, &service.namespace, &policy.spec.validation);
        Some(TlsPolicy { name, tls: checked.tls.map_err(|it| it.message) })
    }

    /// How a backend's certificate is verified. Authorities that cannot be used are left out unless
    /// none is left.
    pub(super) fn check_validation(
        &self,
        cluster: usize,
        namespace: &str,
        spec: &BackendTlsValidation,
    ) -> Checked {
        let mut bundle = Vec::new();
        let mut unresolved: Option<Problem> = None;
        for reference in &spec.ca_certificate_refs {
            let key = ObjectKey::new(namespace, &reference.name);
            let kind = reference.kind.as_str();
            let is_known = matches!(kind, "ConfigMap" | "Secret") && reference.group.is_empty();
            let found = if is_known {
                self.authorities(cluster, kind, &key).map_err(|error| {
                    Problem::new("InvalidCACertificateRef", format!("{kind} {key}: {error}"))
                })
            } else {
                let message = format!("a {kind} holds no authorities, ConfigMaps and Secrets do");
                Err(Problem::new("InvalidKind", message))
            };
            match found {
                Ok(pem) => bundle.extend(pem.into_iter().chain([b'\n'])),
                Err(problem) => unresolved = unresolved.or(Some(problem)),
            }
        }
        let verify = match (spec.well_known_ca_certificates.as_deref(), &unresolved) {
            _ if !bundle.is_empty() => Ok(Verify::Authorities(bundle)),
            (_, Some(problem)) => Err(Problem::new("NoValidCACertificate", &problem.message)),
            (Some("System"), None) => Ok(Verify::System),
            (Some(other), None) => {
                let message = format!("authorities {other:?} are not known, System are");
                Err(Problem::new("Invalid", message))
            }
            (None, None) => Err(Problem::new("NoValidCACertificate", "no authorities are named")),
        };
        let tls = verify.and_then(|verify| {
            Ok(UpstreamTls {
                server_name: Some(spec.hostname.clone()),
                verify,
                subject_alt_names: names(spec)?,
                certificate: None,
            })
        });
        Checked { tls, unresolved }
    }
}

/// What came of a policy's validation.
pub(super) struct Checked {
    /// How TLS is spoken; an error: the policy is not accepted.
    pub(super) tls: Result<UpstreamTls, Problem>,
    /// What is referred to in vain.
    pub(super) unresolved: Option<Problem>,
}

/// Says of each policy under which Gateways it is in use.
pub(super) fn report(draft: &mut Draft<'_>) {
    let policies = std::mem::take(&mut draft.policies);
    for (key, objects) in &policies.tls.all {
        let Some((cluster, first)) = objects.first().copied() else { continue };
        let checked = draft.check_validation(cluster, &key.namespace, &first.spec.validation);
        let conflict = policies.tls.conflict(key, first);
        let missing = || missing_target(draft, key, &first.spec.target_refs);
        let problem = conflict.or_else(missing).or_else(|| checked.tls.err());
        for (cluster, object) in objects {
            let generation = object.metadata.generation.unwrap_or_default();
            let (problem, unresolved) = (problem.as_ref(), checked.unresolved.as_ref());
            let resolved = "all references are resolved";
            let conditions = vec![
                Condition::unless(problem, "Accepted", "Accepted", "it is in force", generation),
                Condition::unless(unresolved, "ResolvedRefs", "ResolvedRefs", resolved, generation),
            ];
            let reports = policies.ancestors(key, &first.spec.target_refs, &conditions);
            let id = draft.id(*cluster, ObjectKind::BackendTlsPolicy, key);
            draft.tell(id, Status::Ancestors(reports));
        }
    }
    for (key, objects) in &policies.traffic.all {
        let Some((_, first)) = objects.first().copied() else { continue };
        let conflict = policies.traffic.conflict(key, first);
        let missing = || missing_target(draft, key, &first.spec.target_refs);
        let problem = conflict.or_else(missing).or_else(|| unserved(&first.spec));
        for (cluster, object) in objects {
            let generation = object.metadata.generation.unwrap_or_default();
            let problem = problem.as_ref();
            let conditions =
                vec![Condition::unless(problem, "Accepted", "Accepted", TRAFFIC, generation)];
            let reports = policies.ancestors(key, &first.spec.target_refs, &conditions);
            let id = draft.id(*cluster, ObjectKind::XBackendTrafficPolicy, key);
            draft.tell(id, Status::Ancestors(reports));
        }
    }
}

impl Policies<'_> {
    /// Reports for all Gateways under which Services of the policy are in use.
    fn ancestors(
        &self,
        key: &ObjectKey,
        targets: &[PolicyTarget],
        conditions: &[Condition],
    ) -> Vec<ParentReport> {
        let services = targets.iter().filter(|it| is_service(it));
        let services = services.map(|it| ObjectKey::new(&key.namespace, &it.name));
        let mut parents: Vec<_> =
            services.filter_map(|it| self.ancestors.get(&it)).flatten().collect();
        parents.sort_by_key(|it| (&it.namespace, &it.name, &it.kind));
        parents.dedup();
        let report = |parent: &ParentRef| ParentReport {
            parent: parent.clone(),
            conditions: conditions.to_vec(),
        };
        parents.into_iter().take(ANCESTORS_MAX).map(report).collect()
    }
}

/// A policy of either kind.
trait Policy: kube::Resource {
    fn targets(&self) -> &[PolicyTarget];
}

impl Policy for BackendTLSPolicy {
    fn targets(&self) -> &[PolicyTarget] {
        &self.spec.target_refs
    }
}

impl Policy for XBackendTrafficPolicy {
    fn targets(&self) -> &[PolicyTarget] {
        &self.spec.target_refs
    }
}

impl<'a, T: Policy> Kind<'a, T> {
    fn new(index: &Index<'a>, store: impl Fn(&'a crate::Objects) -> &'a Store<T>) -> Self {
        let all = index.merged(store);
        let mut by_age: Vec<_> =
            all.iter().filter_map(|(key, it)| Some((*key, *it.first()?))).collect();
        by_age.sort_by_key(|(key, (_, policy))| (created(*policy), *key));
        let mut by_target = BTreeMap::new();
        let mut targets = BTreeSet::new();
        for (key, (cluster, policy)) in by_age {
            for target in policy.targets().iter().filter(|it| is_service(it)) {
                let service = ObjectKey::new(&key.namespace, &target.name);
                targets.insert(service.clone());
                by_target.entry((service, section(target))).or_insert((cluster, policy));
            }
        }
        Self { all, targets, by_target }
    }

    /// The policy in force for a port of a Service, with the place of its cluster.
    fn of(&self, service: &ObjectKey, port_name: Option<&str>) -> Option<(usize, &'a T)> {
        let find = |section| self.by_target.get(&(service.clone(), section)).copied();
        port_name.filter(|it| !it.is_empty()).and_then(find).or_else(|| find(""))
    }

    /// Another policy that is in force for a target of this one.
    fn conflict(&self, key: &ObjectKey, policy: &T) -> Option<Problem> {
        policy.targets().iter().filter(|it| is_service(it)).find_map(|target| {
            let service = ObjectKey::new(&key.namespace, &target.name);
            let (_, winner) = self.by_target.get(&(service, section(target)))?;
            let winner = ObjectKey::of(*winner);
            (winner != *key).then(|| {
                let message = format!("{} is older and for Service {} too", winner, target.name);
                Problem::new("Conflicted", message)
            })
        })
    }
}

/// A target that is not there.
fn missing_target(draft: &Draft<'_>, key: &ObjectKey, targets: &[PolicyTarget]) -> Option<Problem> {
    let is_there = |target: &PolicyTarget| {
        let service = ObjectKey::new(&key.namespace, &target.name);
        draft.uses.see(&service);
        let mut clusters = draft.world.clusters.iter();
        clusters.any(|it| it.objects.services.get(&service).is_some_and(|it| has(it, target)))
    };
    let missing = targets.iter().find(|it| !is_service(it) || !is_there(it))?;
    let section = section(missing);
    let port = if section.is_empty() { String::new() } else { format!(" with a port {section}") };
    let message = format!("there is no {} {}{port}", missing.kind, missing.name);
    Some(Problem::new("TargetNotFound", message))
}

fn has(service: &Service, target: &PolicyTarget) -> bool {
    let section = section(target);
    let mut ports = service.spec.iter().flat_map(|it| it.ports.iter().flatten());
    section.is_empty() || ports.any(|it| it.name.as_deref() == Some(section))
}

fn is_service(target: &PolicyTarget) -> bool {
    target.group.is_empty() && target.kind == "Service"
}

fn section(target: &PolicyTarget) -> &str {
    target.section_name.as_deref().unwrap_or_default()
}

fn names(spec: &BackendTlsValidation) -> Result<Vec<SubjectAltName>, Problem> {
    let name = |it: &crate::api::SubjectAltNameSpec| match (it.r#type.as_str(), &it.hostname) {
        ("Hostname", Some(name)) => Ok(SubjectAltName::Dns(name.clone())),
        ("URI", _) if it.uri.is_some() => {
            Ok(SubjectAltName::Uri(it.uri.clone().unwrap_or_default()))
        }
        (kind, _) => {
            let message = format!("a subject alternative name of type {kind:?} is not known");
            Err(Problem::new("Invalid", message))
        }
    };
    spec.subject_alt_names.iter().map(name).collect()
}

/// What a traffic policy asks for that is not served.
fn unserved(spec: &XBackendTrafficPolicySpec) -> Option<Problem> {
    let persistence = spec.session_persistence.as_ref()?;
    (persistence.r#type.as_deref() == Some("Header")).then(|| {
        Problem::new("Invalid", "sessions are bound to endpoints by cookies, not by header fields")
    })
}
