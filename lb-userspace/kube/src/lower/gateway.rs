//! Gateways and ListenerSets: where clients connect.

use super::draft::Draft;
use crate::{ObjectId, ObjectKey, api::RouteNamespaces};
use lb_model::{HostPattern, ListenerProtocol};
use std::collections::{BTreeMap, BTreeSet};

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
    /// conflict, or without a usable certificate. Routes still attach and are counted.
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
    /// Routes attached.
    pub(super) attached: BTreeSet<(&'static str, ObjectKey)>,
}

/// Makes listeners of Gateways.
pub(super) fn lower(_draft: &mut Draft<'_>) -> Gateways {
    Gateways::default()
}

/// Says what came of each GatewayClass, Gateway and ListenerSet, when routes are attached.
pub(super) fn report(_draft: &mut Draft<'_>, _gateways: &Gateways) {}
