//! Routes and the listeners that they are attached to.

use super::source::Source;
use crate::{
    ObjectKey, ObjectKind,
    api::ParentRef,
    lower::{
        gateway::{GROUP, GatewayDraft, Gateways, ListenerDraft},
        index::Index,
    },
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Gateways and ListenerSets of ours, as routes look for them. Listeners are known by their place:
/// that among all of all Gateways, in order.
pub(super) struct Parents<'g> {
    listeners: Vec<(&'g ObjectKey, &'g GatewayDraft, &'g ListenerDraft)>,
    gateways: HashMap<&'g ObjectKey, Owner<'g>>,
    listener_sets: HashMap<&'g ObjectKey, Owner<'g>>,
}

/// A Gateway or ListenerSet.
struct Owner<'g> {
    gateway: &'g GatewayDraft,
    places: Vec<usize>,
    by_section: HashMap<&'g str, usize>,
}

/// A parent of ours that a route names, and what came of it.
#[derive(Debug)]
pub(super) struct Attachment<'a> {
    /// The parent as the route names it.
    pub(super) parent: &'a ParentRef,
    outcome: Result<Vec<usize>, Refusal>,
}

/// Why a route is not attached: reason of `Accepted` and a text for people.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The reason.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
}

/// Listeners of a route that show backends the same certificate.
#[derive(Debug, Default)]
pub(super) struct Target<'g> {
    /// Name of the certificate.
    pub(super) certificate: Option<&'g str>,
    /// Places of the listeners that are served.
    pub(super) places: BTreeSet<usize>,
    /// Gateways that they belong to.
    pub(super) gateways: Vec<ParentRef>,
}

impl<'g> Parents<'g> {
    pub(super) fn new(gateways: &'g Gateways) -> Self {
        let mut parents =
            Self { listeners: Vec::new(), gateways: HashMap::new(), listener_sets: HashMap::new() };
        for (key, gateway) in &gateways.gateways {
            // Also a Gateway without listeners is a parent of ours.
            parents.owner(ObjectKind::Gateway, key, gateway);
            for listener in &gateway.listeners {
                let place = parents.listeners.len();
                parents.listeners.push((key, gateway, listener));
                let owner = parents.owner(listener.owner.kind, &listener.owner.key, gateway);
                owner.places.push(place);
                owner.by_section.entry(&listener.section).or_insert(place);
            }
        }
        parents
    }

    fn owner(
        &mut self,
        kind: ObjectKind,
        key: &'g ObjectKey,
        gateway: &'g GatewayDraft,
    ) -> &mut Owner<'g> {
        let new = || Owner { gateway, places: Vec::new(), by_section: HashMap::new() };
        let owners = match kind {
            ObjectKind::ListenerSet => &mut self.listener_sets,
            _ => &mut self.gateways,
        };
        owners.entry(key).or_insert_with(new)
    }

    /// What comes of each parent of ours that `source` names.
    pub(super) fn attach<'a>(&self, index: &Index<'_>, source: &Source<'a>) -> Vec<Attachment<'a>> {
        let mut attachments: Vec<Attachment<'a>> = Vec::new();
        for parent in source.parents {
            if attachments.iter().any(|it| it.parent == parent) {
                continue;
            }
            let Some((owner, cluster)) = self.find(parent, source) else { continue };
            let outcome = self.outcome(index, source, parent, owner, cluster);
            attachments.push(Attachment { parent, outcome });
        }
        attachments
    }

    /// The parent, and the first cluster that has both it and the route.
    fn find(&self, parent: &ParentRef, source: &Source<'_>) -> Option<(&Owner<'g>, usize)> {
        if parent.group.as_deref().unwrap_or(GROUP) != GROUP {
            return None;
        }
        let owners = match parent.kind.as_deref() {
            None | Some("Gateway") => &self.gateways,
            Some("ListenerSet") => &self.listener_sets,
            Some(_) => return None,
        };
        let namespace = parent.namespace.as_ref().unwrap_or(&source.key.namespace);
        let key = ObjectKey::new(namespace, &parent.name);
        let owner = owners.get(&key)?;
        let shared = source.clusters.iter().find(|it| owner.gateway.clusters.contains(it))?;
        Some((owner, *shared))
    }

    fn outcome(
        &self,
        index: &Index<'_>,
        source: &Source<'_>,
        parent: &ParentRef,
        owner: &Owner<'_>,
        cluster: usize,
    ) -> Result<Vec<usize>, Refusal> {
        let named = parent.section_name.as_deref().filter(|it| !it.is_empty());
        let mut places = match named {
            Some(section) => owner.by_section.get(section).copied().into_iter().collect(),
            None => owner.places.clone(),
        };
        places.retain(|it| {
            self.listener(*it).is_some_and(|it| parent.port.is_none_or(|port| port == it.port))
        });
        if places.is_empty() {
            return Err(refusal("NoMatchingParent", no_listener(parent)));
        }
        let own = parent.namespace.as_ref().unwrap_or(&source.key.namespace);
        let namespace = &source.key.namespace;
        places.retain(|it| {
            self.listener(*it).is_some_and(|it| {
                let allowed = it.allowed.as_ref();
                it.kinds.contains(&source.kind.name())
                    && index.allows_namespace(cluster, allowed, own, namespace, "Same")
            })
        });
        if places.is_empty() {
            let kind = source.kind.name();
            let message = format!("no listener takes a {kind} from namespace {namespace}");
            return Err(refusal("NotAllowedByListeners", message));
        }
        if source.has_no_usable_host {
            let message = "none of its hostnames is a host name".to_owned();
            return Err(refusal("UnsupportedValue", message));
        }
        let meets = |place: &usize| {
            let listener = self.listener(*place);
            let meets = |it: &ListenerDraft| {
                source.hosts.is_empty() || source.hosts.iter().any(|host| host.intersects(&it.host))
            };
            listener.is_some_and(meets)
        };
        places.retain(meets);
        if places.is_empty() {
            let message = "no listener serves any of its hostnames".to_owned();
            return Err(refusal("NoMatchingListenerHostname", message));
        }
        Ok(places)
    }

    /// The Gateway of the listener at a place.
    pub(super) fn gateway(&self, place: usize) -> Option<&'g ObjectKey> {
        self.listeners.get(place).map(|(key, ..)| *key)
    }

    /// The listener at a place.
    pub(super) fn listener(&self, place: usize) -> Option<&'g ListenerDraft> {
        self.listeners.get(place).map(|(_, _, listener)| *listener)
    }

    /// Listeners that are served, those whose Gateways show backends the same certificate
    /// together. Where there is none, one target of no listener.
    pub(super) fn targets(&self, attachments: &[Attachment<'_>]) -> Vec<Target<'g>> {
        let mut targets: BTreeMap<Option<&str>, Target<'g>> = BTreeMap::new();
        for place in attachments.iter().flat_map(Attachment::listeners) {
            let Some((key, gateway, listener)) = self.listeners.get(*place) else { continue };
            if listener.name.is_none() {
                continue;
            }
            let certificate = gateway.client_certificate.as_deref();
            let new = || Target { certificate, ..Target::default() };
            let target = targets.entry(certificate).or_insert_with(new);
            target.places.insert(*place);
            let reference = reference(key);
            if !target.gateways.contains(&reference) {
                target.gateways.push(reference);
            }
        }
        if targets.is_empty() { vec![Target::default()] } else { targets.into_values().collect() }
    }

    /// Names in `Desired` of the listeners of a target.
    pub(super) fn names(&self, target: &Target<'_>) -> BTreeSet<String> {
        target.places.iter().filter_map(|it| self.listener(*it)?.name.clone()).collect()
    }
}

impl Attachment<'_> {
    /// Places of the listeners that it is attached to.
    pub(super) fn listeners(&self) -> &[usize] {
        self.outcome.as_deref().unwrap_or_default()
    }

    /// Why it is not attached.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.outcome.as_ref().err()
    }

    /// Takes it from the listeners that `keep` does not want. If none is left, it is refused.
    pub(super) fn retain(&mut self, keep: impl FnMut(&usize) -> bool, otherwise: Refusal) {
        if let Ok(places) = &mut self.outcome {
            places.retain(keep);
            if places.is_empty() {
                self.outcome = Err(otherwise);
            }
        }
    }

    /// Refuses it, unless it is refused already.
    pub(super) fn refuse(&mut self, reason: &'static str, message: &str) {
        if self.outcome.is_ok() {
            self.outcome = Err(refusal(reason, message.to_owned()));
        }
    }
}

/// Places of the listeners that a route is attached to.
pub(super) fn places(attachments: &[Attachment<'_>]) -> BTreeSet<usize> {
    attachments.iter().flat_map(Attachment::listeners).copied().collect()
}

/// Counts a route on each listener that it is attached to, or counts it no more.
pub(super) fn count(
    gateways: &mut Gateways,
    kind: ObjectKind,
    key: &ObjectKey,
    places: &BTreeSet<usize>,
    is_attached: bool,
) {
    let entry = (kind.name(), key.clone());
    for place in places {
        let Some(listener) = gateways.listener_mut(*place) else { continue };
        if is_attached {
            listener.attached.insert(entry.clone());
        } else {
            listener.attached.remove(&entry);
        }
    }
}

fn refusal(reason: &'static str, message: String) -> Refusal {
    Refusal { reason, message }
}

fn no_listener(parent: &ParentRef) -> String {
    let name = parent.section_name.as_ref().map(|it| format!(" named {it}")).unwrap_or_default();
    let port = parent.port.map(|it| format!(" on port {it}")).unwrap_or_default();
    format!("the parent has no listener{name}{port}")
}

fn reference(gateway: &ObjectKey) -> ParentRef {
    ParentRef {
        group: Some(GROUP.to_owned()),
        kind: Some(ObjectKind::Gateway.name().to_owned()),
        namespace: Some(gateway.namespace.clone()),
        name: gateway.name.clone(),
        section_name: None,
        port: None,
    }
}
