//! What is lowered so far.

use super::{address::Addresses, index::Index, policy::Policies, upstream::Resolved};
use crate::{
    InfrastructureChange, Lowered, Notice, ObjectId, ObjectKey, ObjectKind, Status, World,
    world::Cluster,
};
use lb_model::Desired;
use std::collections::BTreeMap;

/// What is lowered so far. Every part reads the world and the index, and adds what it makes.
pub(super) struct Draft<'a> {
    /// What is looked at.
    pub(super) world: &'a World,
    /// Look-ups over the world.
    pub(super) index: Index<'a>,
    /// Who has which addresses.
    pub(super) addresses: Addresses,
    /// What to run.
    pub(super) desired: Desired,
    /// What to say.
    pub(super) statuses: BTreeMap<ObjectId, Status>,
    /// What to tell once.
    pub(super) notices: Vec<Notice>,
    /// What to change of objects that stand for Gateways.
    pub(super) infrastructure: Vec<InfrastructureChange>,
    /// Policies, and by whom they are in use: told at the end.
    pub(super) policies: Policies<'a>,
    /// Backends looked up already.
    pub(super) resolved: Resolved,
}

impl<'a> Draft<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let index = Index::new(world);
        Self {
            world,
            policies: Policies::new(&index),
            index,
            addresses: Addresses::default(),
            desired: Desired::default(),
            statuses: BTreeMap::new(),
            notices: Vec::new(),
            infrastructure: Vec::new(),
            resolved: Resolved::default(),
        }
    }

    /// The cluster at this place of the configuration.
    pub(super) fn cluster(&self, index: usize) -> Option<&'a Cluster> {
        self.world.clusters.get(index)
    }

    /// Names an object.
    pub(super) fn id(&self, cluster: usize, kind: ObjectKind, key: &ObjectKey) -> ObjectId {
        let cluster = self.cluster(cluster).map(|it| it.name.clone()).unwrap_or_default();
        ObjectId { cluster, kind, key: key.clone() }
    }

    /// Tells the users of an object what is wrong with it.
    pub(super) fn warn(&mut self, object: ObjectId, reason: &'static str, message: String) {
        self.notices.push(Notice { object, is_warning: true, reason, message });
    }

    pub(super) fn finish(mut self) -> Lowered {
        self.notices.sort();
        self.notices.dedup();
        Lowered {
            desired: self.desired,
            statuses: self.statuses,
            notices: self.notices,
            infrastructure: self.infrastructure,
            assigned: self.addresses.assigned(),
        }
    }
}
