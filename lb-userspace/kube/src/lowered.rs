//! What lowering gives: what to run, and what to say about each object.

use crate::{
    ObjectId, ObjectKey,
    api::{GatewayAddressStatus, ParentRef, RouteGroupKind},
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use lb_model::{Desired, Shared, Table};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// What lowering gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lowered {
    /// What to run, beside what the file says.
    pub desired: Desired,
    /// What to say about each object.
    pub statuses: Table<ObjectId, Shared<Status>>,
    /// What to tell users once, as Events.
    pub notices: Vec<Notice>,
    /// What to change of objects that stand for Gateways in their clusters.
    pub infrastructure: Vec<InfrastructureChange>,
    /// Addresses by owner, for the next [`crate::World::assigned`].
    #[serde(skip)]
    pub assigned: Arc<BTreeMap<ObjectId, Vec<IpAddr>>>,
}

/// What to say about an object, once [`Lowered::desired`] runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Status {
    /// Conditions, and for a class the features that are served.
    GatewayClass {
        /// Conditions.
        conditions: Vec<Condition>,
        /// Features by name, sorted.
        features: Vec<String>,
    },
    /// A Gateway's.
    Gateway {
        /// Addresses.
        addresses: Vec<GatewayAddressStatus>,
        /// Conditions.
        conditions: Vec<Condition>,
        /// Its own listeners, in order of the spec.
        listeners: Vec<ListenerReport>,
        /// Listener sets attached.
        attached_listener_sets: u32,
    },
    /// A ListenerSet's.
    ListenerSet {
        /// Conditions.
        conditions: Vec<Condition>,
        /// Its listeners.
        listeners: Vec<ListenerReport>,
    },
    /// A route's of any kind, and an XBackend's: by parent, those of other controllers stay.
    Parents(Vec<ParentReport>),
    /// A policy's: by ancestor, those of other controllers stay.
    Ancestors(Vec<ParentReport>),
    /// A Service's or an Ingress's `status.loadBalancer.ingress`.
    LoadBalancer {
        /// Addresses, and the host name if one was asked for.
        addresses: Vec<IpAddr>,
        /// Of these, those where the proxy ends connections and makes new ones (Services).
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        proxied: BTreeSet<IpAddr>,
        /// Ports with what is wrong with them (Services).
        ports: Vec<(u16, lb_model::Protocol, Option<String>)>,
        /// Conditions (Services).
        conditions: Vec<Condition>,
    },
    /// An AddressPool's.
    AddressPool {
        /// Addresses in use.
        assigned: u64,
        /// Addresses free.
        free: u64,
        /// Conditions.
        conditions: Vec<Condition>,
    },
}

/// Of a listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerReport {
    /// Its name in the object.
    pub name: String,
    /// Routes attached.
    pub attached_routes: u32,
    /// Kinds that may attach.
    pub supported_kinds: Vec<RouteGroupKind>,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// Of a route or policy under one parent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParentReport {
    /// The parent as the object names it.
    pub parent: ParentRef,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// A condition without its time: the writer keeps that of the last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `Accepted`, `Programmed`, ...
    pub kind: &'static str,
    /// Whether it holds; `None` = unknown.
    pub holds: Option<bool>,
    /// Reason in CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Generation of the object that this is about.
    pub generation: i64,
}

/// Something to tell a user as an Event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Notice {
    /// About whom.
    pub object: ObjectId,
    /// `Normal` or `Warning`.
    pub is_warning: bool,
    /// Reason in CamelCase, short.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// A change of objects that stand for a Gateway, to be made by the replica that leads. It is told
/// again until the cluster has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InfrastructureChange {
    /// Name of the cluster.
    pub cluster: String,
    /// What is to be done there.
    pub change: Infrastructure,
}

/// What an object that stands for a Gateway is to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Infrastructure {
    /// A Service, to be applied.
    Service(Box<Service>),
    /// The Service is to be removed.
    NoService(ObjectKey),
    /// A slice of its addresses, to be applied.
    Slice(Box<EndpointSlice>),
    /// The slice is to be removed.
    NoSlice(ObjectKey),
}
