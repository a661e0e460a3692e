//! What is lowered so far.

use super::{
    address::Addresses,
    index::{Index, Slices},
    policy::Policies,
    upstream::Resolved,
    uses::Uses,
};
use crate::{
    InfrastructureChange, Lowered, Notice, ObjectId, ObjectKey, ObjectKind, Status, World,
    world::Cluster,
};
use lb_model::{Desired, Shared, Table};
use std::mem;

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
    pub(super) statuses: Table<ObjectId, Shared<Status>>,
    /// What to tell once.
    pub(super) notices: Vec<Notice>,
    /// What to change of objects that stand for Gateways.
    pub(super) infrastructure: Vec<InfrastructureChange>,
    /// Policies, and by whom they are in use: told at the end.
    pub(super) policies: Policies<'a>,
    /// Backends looked up already.
    pub(super) resolved: Resolved,
    /// What is looked up for what is lowered now.
    pub(super) uses: Uses,
}

impl<'a> Draft<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self::over(world, Index::new(world))
    }

    /// With look-ups that are made already.
    pub(super) fn over(world: &'a World, index: Index<'a>) -> Self {
        Self {
            world,
            policies: Policies::new(&index),
            index,
            addresses: Addresses::default(),
            desired: Desired::default(),
            statuses: Table::new(),
            notices: Vec::new(),
            infrastructure: Vec::new(),
            resolved: Resolved::default(),
            uses: Uses::default(),
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

    /// Says this about an object.
    pub(super) fn tell(&mut self, object: ObjectId, status: Status) {
        self.statuses.insert(object, status.into());
    }

    /// Tells the users of an object what is wrong with it.
    pub(super) fn warn(&mut self, object: ObjectId, reason: &'static str, message: String) {
        self.notices.push(Notice { object, is_warning: true, reason, message });
    }

    /// What is known of backends, and the slices of Services.
    pub(super) fn into_lookups(self) -> (Resolved, Slices) {
        (self.resolved, self.index.into_slices())
    }

    /// What came of it all, beside [`Self::into_lookups`].
    pub(super) fn finish(mut self) -> (Lowered, Resolved, Slices) {
        self.notices.extend(self.resolved.notices().cloned());
        self.notices.sort();
        self.notices.dedup();
        let lowered = Lowered {
            desired: mem::take(&mut self.desired),
            statuses: mem::take(&mut self.statuses),
            notices: mem::take(&mut self.notices),
            infrastructure: mem::take(&mut self.infrastructure),
            assigned: self.addresses.assigned(),
        };
        let (resolved, slices) = self.into_lookups();
        (lowered, resolved, slices)
    }
}
