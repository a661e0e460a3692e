//! Gateways and ListenerSets: where clients connect.
//!
//! A Gateway's own listeners come first, then those of its ListenerSets, the oldest set first: that
//! is their order of precedence where they are in conflict.

mod class;
mod conflict;
mod infrastructure;
mod listener;
mod listener_set;
mod report;
mod serve;
mod tls;

pub use class::FEATURES;
pub(super) use class::is_ours;
pub(super) use infrastructure::is_for_gateway;
pub(super) use report::{report, report_gateway};

use super::{address::Assigned, condition::Problem, draft::Draft};
use crate::{
    ObjectId, ObjectKey, ObjectKind,
    api::{Gateway, ListenerSpec, RouteNamespaces},
};
use lb_model::{HostPattern, ListenerProtocol, ListenerTls};
use listener_set::SetDraft;
use std::collections::{BTreeMap, BTreeSet};

/// Group of the Gateway API.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// Gateways of ours, by key; those of one key in several clusters are one.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    pub(super) gateways: BTreeMap<ObjectKey, GatewayDraft>,
}

impl Gateways {
    /// The listener at a place: that among all of all Gateways, in order.
    pub(super) fn listener_mut(&mut self, mut place: usize) -> Option<&mut ListenerDraft> {
        for gateway in self.gateways.values_mut() {
            let count = gateway.listeners.len();
            if place < count {
                return gateway.listeners.get_mut(place);
            }
            place -= count;
        }
        None
    }

    /// The Gateway of the listener at a place.
    pub(super) fn key_of(&self, mut place: usize) -> Option<&ObjectKey> {
        for (key, gateway) in &self.gateways {
            let count = gateway.listeners.len();
            if place < count {
                return Some(key);
            }
            place -= count;
        }
        None
    }
}

/// A Gateway of ours.
#[derive(Debug, Default)]
pub(super) struct GatewayDraft {
    /// Clusters that have it; the first's spec rules.
    pub(super) clusters: Vec<usize>,
    /// Its certificate for backends, by name in `Desired`.
    pub(super) client_certificate: Option<String>,
    /// Its own listeners and those of its ListenerSets, in order of precedence. Those whose
    /// protocol is not known are left out.
    pub(super) listeners: Vec<ListenerDraft>,
    /// Where it is served.
    addresses: Vec<Assigned>,
    /// Why it is not accepted at all, whatever its listeners are.
    refusal: Option<Problem>,
    /// Why it is not served, or not on all the addresses that it asks for.
    unassigned: Option<Problem>,
    /// Why a reference of its own cannot be followed.
    unresolved: Option<Problem>,
    /// Clients without a valid certificate pass somewhere.
    is_insecure: bool,
    /// Its ListenerSets, those that may not attach too.
    sets: Vec<SetDraft>,
}

/// A listener of a Gateway or ListenerSet.
#[derive(Debug)]
pub(super) struct ListenerDraft {
    /// Whose it is: the Gateway or a ListenerSet. Routes name one of them as parent.
    pub(super) owner: ObjectId,
    /// Its name there (`sectionName`).
    pub(super) section: String,
    /// Its name in [`lb_model::Proxy::listeners`]; `None` = it is not served: not accepted, in
    /// conflict, without an address or without a usable certificate. Routes still attach and are
    /// counted. TCP and UDP listeners are there with their VIPs: whoever serves those without the
    /// proxy takes them out again.
    pub(super) name: Option<String>,
    /// Port.
    pub(super) port: u16,
    /// What is spoken.
    pub(super) protocol: ListenerProtocol,
    /// TLS is passed through.
    pub(super) is_passthrough: bool,
    /// Hosts.
    pub(super) host: HostPattern,
    /// Namespaces whose routes may attach.
    pub(super) allowed: Option<RouteNamespaces>,
    /// Kinds that may attach: `HTTPRoute`, ...
    pub(super) kinds: Vec<&'static str>,
    /// Addresses that it is served on.
    pub(super) addresses: Vec<Assigned>,
    /// Routes attached.
    pub(super) attached: BTreeSet<(&'static str, ObjectKey)>,
    /// How TLS is terminated, if it is.
    tls: Option<ListenerTls>,
    /// Why it is not accepted by itself.
    refusal: Option<Problem>,
    /// With which listener it is in conflict.
    conflict: Option<Problem>,
    /// What it refers to in vain.
    unresolved: Option<Problem>,
    /// Another listener of the port terminates TLS for some of its hosts.
    overlaps: bool,
}

impl ListenerDraft {
    /// Whether it accepts routes: `Accepted` is not false.
    pub(super) fn is_accepted(&self) -> bool {
        self.refusal.is_none() && self.conflict.is_none()
    }

    /// Whether it could be served, given an address.
    fn is_servable(&self) -> bool {
        let lacks_certificate = self.tls.as_ref().is_some_and(|it| it.certificates.is_empty());
        self.is_accepted() && !lacks_certificate && !self.kinds.is_empty()
    }
}

/// Whose listeners these are.
struct Owner<'a> {
    id: ObjectId,
    /// Place of its cluster.
    cluster: usize,
    /// What the names of its listeners in `Desired` begin with.
    prefix: String,
    listeners: &'a [ListenerSpec],
}

/// Makes listeners of Gateways.
pub(super) fn lower(draft: &mut Draft<'_>) -> Gateways {
    let mut gateways = Gateways::default();
    let mut sets = listener_set::by_gateway(draft);
    for (key, mut objects) in draft.index.merged(|it| &it.gateways) {
        objects.retain(|(cluster, it)| is_ours(draft, *cluster, &it.spec.gateway_class_name));
        let Some((first, gateway)) = objects.first().copied() else { continue };
        let clusters: Vec<_> = objects.iter().map(|(cluster, _)| *cluster).collect();
        let sets = sets.remove(key).unwrap_or_default();
        let lowered = lower_one(draft, first, gateway, clusters, sets);
        gateways.gateways.insert(key.clone(), lowered);
    }
    gateways
}

fn lower_one<'a>(
    draft: &mut Draft<'a>,
    first: usize,
    gateway: &'a Gateway,
    clusters: Vec<usize>,
    sets: Vec<listener_set::Candidate<'a>>,
) -> GatewayDraft {
    let key = ObjectKey::of(gateway);
    let id = draft.id(first, ObjectKind::Gateway, &key);
    let mut made = GatewayDraft { clusters, ..GatewayDraft::default() };
    match draft.addresses.of(&id) {
        Ok(addresses) => made.addresses = addresses.to_vec(),
        Err(why) => made.unassigned = Some(Problem::new(why.reason, why.message)),
    }
    made.refusal = class::refusal(draft, first, gateway);
    if let Some(problem) = made.unassigned.take_if(|it| it.reason == "UnsupportedAddress") {
        made.refusal.get_or_insert(problem);
    }
    match tls::client_certificate(draft, first, gateway) {
        Ok(certificate) => made.client_certificate = certificate,
        Err(problem) => made.unresolved = Some(problem),
    }
    let frontend = tls::Frontend::of(draft, first, gateway);
    made.is_insecure = frontend.is_insecure();
    let prefix = key.to_string();
    let own = Owner { id, cluster: first, prefix, listeners: &gateway.spec.listeners };
    let mut owners = vec![own];
    made.sets = listener_set::attach(draft, gateway, &made, sets, &mut owners);
    let mut names = Vec::new();
    for owner in &owners {
        for spec in owner.listeners {
            let Ok(listener) = listener::draft(draft, owner, spec, &frontend) else { continue };
            names.push(format!("{}/{}", owner.prefix, spec.name));
            made.listeners.push(listener);
        }
    }
    conflict::settle(&mut made.listeners);
    for (listener, name) in made.listeners.iter_mut().zip(names) {
        if made.refusal.is_none() {
            listener.addresses.clone_from(&made.addresses);
        }
        serve::serve(draft, name, listener);
    }
    made
}
