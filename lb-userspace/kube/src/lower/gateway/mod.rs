//! Gateways and ListenerSets: where clients connect.

mod class;
mod listener;
mod report;
mod serve;

pub(super) use class::is_ours;
pub(super) use report::report;

use super::{address::Assigned, draft::Draft};
use crate::{
    ObjectId, ObjectKey, ObjectKind,
    api::{Gateway, RouteNamespaces},
};
use lb_model::{HostPattern, ListenerProtocol};
use std::collections::{BTreeMap, BTreeSet};

/// Group of the Gateway API.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// Gateways of ours, by key; those of one key in several clusters are one.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    pub(super) gateways: BTreeMap<ObjectKey, GatewayDraft>,
}

/// A Gateway of ours.
#[derive(Debug)]
pub(super) struct GatewayDraft {
    /// Clusters that have it; the first's spec rules.
    pub(super) clusters: Vec<usize>,
    /// Its certificate for backends, by name in `Desired`.
    pub(super) client_certificate: Option<String>,
    /// Its own listeners and those of its ListenerSets, in order of precedence.
    pub(super) listeners: Vec<ListenerDraft>,
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
    /// It accepts routes (`Accepted` is not false).
    pub(super) is_accepted: bool,
    /// Addresses that it is served on.
    pub(super) addresses: Vec<Assigned>,
    /// Routes attached.
    pub(super) attached: BTreeSet<(&'static str, ObjectKey)>,
}

/// Makes listeners of Gateways.
pub(super) fn lower(draft: &mut Draft<'_>) -> Gateways {
    let mut gateways = Gateways::default();
    for (key, objects) in draft.index.merged(|it| &it.gateways) {
        let is_ours = |(cluster, gateway): &&(usize, &Gateway)| {
            is_ours(draft, *cluster, &gateway.spec.gateway_class_name)
        };
        let objects: Vec<_> = objects.iter().filter(is_ours).copied().collect();
        let Some((_, gateway)) = objects.first().copied() else { continue };
        let clusters = objects.iter().map(|(cluster, _)| *cluster).collect();
        gateways.gateways.insert(key.clone(), lower_one(draft, key, clusters, gateway));
    }
    gateways
}

fn lower_one(
    draft: &mut Draft<'_>,
    key: &ObjectKey,
    clusters: Vec<usize>,
    gateway: &Gateway,
) -> GatewayDraft {
    let first = clusters.first().copied().unwrap_or_default();
    let owner = draft.id(first, ObjectKind::Gateway, key);
    let addresses = draft.addresses.of(&owner).map(<[Assigned]>::to_vec).unwrap_or_default();
    let mut listeners = Vec::new();
    for spec in &gateway.spec.listeners {
        let Some(mut listener) = listener::draft(&owner, spec) else { continue };
        listener.addresses.clone_from(&addresses);
        let name = format!("{key}/{}", spec.name);
        serve::serve(draft, first, name, spec, &mut listener);
        listeners.push(listener);
    }
    GatewayDraft { clusters, client_certificate: None, listeners }
}
