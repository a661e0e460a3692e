//! What is said about GatewayClasses, Gateways and ListenerSets.

use super::{
    Draft, GROUP, GatewayDraft, Gateways, ListenerDraft, Problem, class, infrastructure, listener,
    listener_set::SetDraft,
};
use crate::{
    Condition, ObjectKey, ObjectKind, Status,
    api::{GatewayAddressStatus, ListenerSpec, RouteGroupKind},
    lowered::ListenerReport,
};
use std::collections::BTreeMap;

/// Says what came of each GatewayClass, Gateway and ListenerSet, when routes are attached.
pub(in crate::lower) fn report(draft: &mut Draft<'_>, gateways: &Gateways) {
    class::report(draft);
    for (key, gateway) in &gateways.gateways {
        report_gateway(draft, key, gateway);
    }
    infrastructure::report(draft, gateways);
}

/// Says what came of a Gateway and of its ListenerSets.
pub(in crate::lower) fn report_gateway(
    draft: &mut Draft<'_>,
    key: &ObjectKey,
    gateway: &GatewayDraft,
) {
    let Some(first) = gateway.clusters.first().and_then(|it| draft.cluster(*it)) else { return };
    let Some(ruling) = first.objects.gateways.get(key) else { return };
    let drafts = drafts(gateway);
    let own = Own::of(&drafts, ObjectKind::Gateway, key, &ruling.spec.listeners);
    let verdict = Verdict::of_gateway(gateway, &own);
    let mut attached: u32 = 0;
    for set in &gateway.sets {
        attached += u32::from(report_set(draft, &drafts, &verdict, set));
    }
    let addresses = if gateway.refusal.is_some() { &[][..] } else { &gateway.addresses };
    let addresses: Vec<_> = addresses
        .iter()
        .map(|it| GatewayAddressStatus {
            r#type: Some("IPAddress".to_owned()),
            value: it.address.to_string(),
        })
        .collect();
    for index in &gateway.clusters {
        let Some(cluster) = draft.cluster(*index) else { continue };
        let Some(object) = cluster.objects.gateways.get(key) else { continue };
        let generation = object.metadata.generation.unwrap_or_default();
        let mut conditions = verdict.conditions(generation);
        conditions.push(resolved(gateway, &own, generation));
        if gateway.is_insecure {
            conditions.push(Condition {
                kind: "InsecureFrontendValidationMode",
                holds: Some(true),
                reason: "ConfigurationChanged",
                message: "clients without a valid certificate pass".to_owned(),
                generation,
            });
        }
        let status = Status::Gateway {
            addresses: addresses.clone(),
            conditions,
            listeners: own.reports(generation),
            attached_listener_sets: attached,
        };
        let id = draft.id(*index, ObjectKind::Gateway, key);
        draft.tell(id, status);
    }
}

/// Returns whether the set is attached.
fn report_set(
    draft: &mut Draft<'_>,
    drafts: &Drafts<'_>,
    parent: &Verdict,
    set: &SetDraft,
) -> bool {
    let Some(first) = set.clusters.first().and_then(|it| draft.cluster(*it)) else { return false };
    let Some(ruling) = first.objects.listener_sets.get(&set.key) else { return false };
    let specs = if set.refusal.is_some() { &[][..] } else { &ruling.spec.listeners };
    let own = Own::of(drafts, ObjectKind::ListenerSet, &set.key, specs);
    let verdict = Verdict::of_set(parent, set, &own);
    for index in &set.clusters {
        let Some(cluster) = draft.cluster(*index) else { continue };
        let Some(object) = cluster.objects.listener_sets.get(&set.key) else { continue };
        let generation = object.metadata.generation.unwrap_or_default();
        let status = Status::ListenerSet {
            conditions: verdict.conditions(generation),
            listeners: own.reports(generation),
        };
        let id = draft.id(*index, ObjectKind::ListenerSet, &set.key);
        draft.tell(id, status);
    }
    verdict.refusal.is_none()
}

/// Whether a Gateway or ListenerSet is accepted and programmed.
struct Verdict {
    refusal: Option<Problem>,
    unprogrammed: Option<Problem>,
    /// It is accepted, but some of its listeners are not valid.
    invalid: Option<String>,
}

impl Verdict {
    fn of_gateway(gateway: &GatewayDraft, own: &Own<'_>) -> Self {
        let invalid = own.names(|it| it.is_none_or(|it| !it.is_accepted()));
        let none_accepted = || {
            let is_none = !own.listeners.is_empty() && invalid.len() == own.listeners.len();
            is_none.then(|| Problem::new("ListenersNotValid", "no listener is valid"))
        };
        let refusal = gateway.refusal.clone().or_else(none_accepted);
        let none_served = || {
            let is_none = !own.listeners.is_empty() && !own.is_any_served();
            is_none.then(|| Problem::new("Invalid", "no listener can be served"))
        };
        let refused = refusal.as_ref().map(|_| Problem::new("Invalid", "it is not accepted"));
        let unassigned = || gateway.unassigned.clone();
        let unprogrammed = refused.or_else(unassigned).or_else(none_served);
        Self { refusal, unprogrammed, invalid: not_valid(&invalid) }
    }

    fn of_set(parent: &Self, set: &SetDraft, own: &Own<'_>) -> Self {
        let invalid = own.names(|it| it.is_none_or(|it| !it.is_servable()));
        if let Some(problem) = &set.refusal {
            let problem = Some(problem.clone());
            return Self { refusal: problem.clone(), unprogrammed: problem, invalid: None };
        }
        // A Gateway of which only the own listeners are wrong still serves those of its sets.
        let is_of_listeners = |it: &&Problem| it.reason == "ListenersNotValid";
        if parent.refusal.as_ref().is_some_and(|it| !is_of_listeners(&it)) {
            return Self {
                refusal: Some(Problem::new("ParentNotAccepted", "the Gateway is not accepted")),
                unprogrammed: Some(parent_not_programmed()),
                invalid: None,
            };
        }
        if !own.listeners.is_empty() && invalid.len() == own.listeners.len() {
            let problem = Some(Problem::new("ListenersNotValid", "no listener is valid"));
            return Self { refusal: problem.clone(), unprogrammed: problem, invalid: None };
        }
        let is_served = own.listeners.is_empty() || own.is_any_served();
        let unprogrammed = (!is_served).then(parent_not_programmed);
        Self { refusal: None, unprogrammed, invalid: not_valid(&invalid) }
    }

    fn conditions(&self, generation: i64) -> Vec<Condition> {
        let (reason, message) = match &self.invalid {
            Some(message) => ("ListenersNotValid", message.as_str()),
            None => ("Accepted", "it is valid"),
        };
        let (refusal, unprogrammed) = (self.refusal.as_ref(), self.unprogrammed.as_ref());
        let served = "it is served";
        vec![
            Condition::unless(refusal, "Accepted", reason, message, generation),
            Condition::unless(unprogrammed, "Programmed", "Programmed", served, generation),
        ]
    }
}

fn parent_not_programmed() -> Problem {
    Problem::new("ParentNotProgrammed", "the Gateway is not served")
}

fn not_valid(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| format!("listeners that are not valid: {}", names.join(", ")))
}

/// Whether the references of a Gateway and of its own listeners are resolved.
fn resolved(gateway: &GatewayDraft, own: &Own<'_>, generation: i64) -> Condition {
    let names = own.names(|it| it.is_some_and(|it| it.unresolved.is_some()));
    let of_listeners = (!names.is_empty()).then(|| {
        let message = format!("listeners with references not resolved: {}", names.join(", "));
        Problem::new("ListenersNotResolved", message)
    });
    let problem = gateway.unresolved.as_ref().or(of_listeners.as_ref());
    let message = "all references are resolved";
    Condition::unless(problem, "ResolvedRefs", "ResolvedRefs", message, generation)
}

/// Listeners of a Gateway and of its sets, by owner.
type Drafts<'a> = BTreeMap<(ObjectKind, &'a ObjectKey), &'a [ListenerDraft]>;

fn drafts(gateway: &GatewayDraft) -> Drafts<'_> {
    let owners = gateway.listeners.chunk_by(|one, next| one.owner == next.owner);
    let named = owners.filter_map(|it| {
        let owner = &it.first()?.owner;
        Some(((owner.kind, &owner.key), it))
    });
    named.collect()
}

/// The listeners of one object in order of its spec; those of unknown protocols have no draft.
struct Own<'a> {
    listeners: Vec<(&'a ListenerSpec, Option<&'a ListenerDraft>)>,
}

impl<'a> Own<'a> {
    fn of(
        drafts: &Drafts<'a>,
        kind: ObjectKind,
        key: &ObjectKey,
        specs: &'a [ListenerSpec],
    ) -> Self {
        let own = drafts.get(&(kind, key)).copied().unwrap_or_default();
        let drafts: BTreeMap<_, _> = own.iter().map(|it| (it.section.as_str(), it)).collect();
        let draft = |it: &ListenerSpec| drafts.get(it.name.as_str()).copied();
        Self { listeners: specs.iter().map(|it| (it, draft(it))).collect() }
    }

    fn names(&self, wanted: impl Fn(Option<&ListenerDraft>) -> bool) -> Vec<&'a str> {
        let wanted = self.listeners.iter().filter(|(_, draft)| wanted(*draft));
        wanted.map(|(spec, _)| spec.name.as_str()).collect()
    }

    fn is_any_served(&self) -> bool {
        self.listeners.iter().filter_map(|(_, draft)| *draft).any(|it| it.name.is_some())
    }

    fn reports(&self, generation: i64) -> Vec<ListenerReport> {
        let report = |(spec, draft): &(&ListenerSpec, Option<&ListenerDraft>)| match draft {
            Some(draft) => known(draft, generation),
            None => unknown(spec, generation),
        };
        self.listeners.iter().map(report).collect()
    }
}

fn known(listener: &ListenerDraft, generation: i64) -> ListenerReport {
    let kind =
        |kind: &&str| RouteGroupKind { group: Some(GROUP.to_owned()), kind: (*kind).to_owned() };
    let mut conditions = conditions(listener, generation);
    if listener.overlaps {
        conditions.push(Condition {
            kind: "OverlappingTLSConfig",
            holds: Some(true),
            reason: "OverlappingHostnames",
            message: "another listener of the port terminates TLS for some of its hosts".to_owned(),
            generation,
        });
    }
    ListenerReport {
        name: listener.section.clone(),
        attached_routes: u32::try_from(listener.attached.len()).unwrap_or(u32::MAX),
        supported_kinds: listener.kinds.iter().map(kind).collect(),
        conditions,
    }
}

fn conditions(listener: &ListenerDraft, generation: i64) -> Vec<Condition> {
    let refusal = listener.conflict.as_ref().or(listener.refusal.as_ref());
    let unprogrammed = match (&listener.conflict, refusal) {
        _ if listener.name.is_some() => None,
        (Some(conflict), _) => Some(conflict.clone()),
        (None, Some(_)) => Some(Problem::new("Invalid", "it is not accepted")),
        _ if !listener.is_servable() => {
            let why = listener.unresolved.as_ref().map_or("it is not valid", |it| &it.message);
            Some(Problem::new("Invalid", why))
        }
        _ => Some(Problem::new("Pending", "the Gateway is not served")),
    };
    let conflicted = conflicted(listener.conflict.as_ref(), generation);
    let unprogrammed = unprogrammed.as_ref();
    let unresolved = listener.unresolved.as_ref();
    let references = "all references are resolved";
    vec![
        Condition::unless(refusal, "Accepted", "Accepted", "it is valid", generation),
        conflicted,
        Condition::unless(unprogrammed, "Programmed", "Programmed", "it is served", generation),
        Condition::unless(unresolved, "ResolvedRefs", "ResolvedRefs", references, generation),
    ]
}

fn unknown(spec: &ListenerSpec, generation: i64) -> ListenerReport {
    let refusal = listener::protocol(spec).err();
    let invalid = Problem::new("Invalid", "it is not accepted");
    let references = "all references are resolved";
    ListenerReport {
        name: spec.name.clone(),
        attached_routes: 0,
        supported_kinds: Vec::new(),
        conditions: vec![
            Condition::unless(refusal.as_ref(), "Accepted", "Accepted", "it is valid", generation),
            conflicted(None, generation),
            Condition::unless(Some(&invalid), "Programmed", "Programmed", "", generation),
            Condition::unless(None, "ResolvedRefs", "ResolvedRefs", references, generation),
        ],
    }
}

fn conflicted(conflict: Option<&Problem>, generation: i64) -> Condition {
    let (reason, message) = match conflict {
        Some(problem) => (problem.reason, problem.message.as_str()),
        None => ("NoConflicts", "no other listener is in its way"),
    };
    Condition {
        kind: "Conflicted",
        holds: Some(conflict.is_some()),
        reason,
        message: message.to_owned(),
        generation,
    }
}
