//! What is lowered so far.

use super::{address::Addresses, index::Index, policy::Ancestors};
use crate::{Lowered, Notice, ObjectId, ObjectKey, ObjectKind, Status, World, world::Cluster};
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
    /// Policies in use, and by whom: told at the end.
    pub(super) ancestors: Ancestors,
}

impl<'a> Draft<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            world,
            index: Index::new(world),
            addresses: Addresses::default(),
            desired: Desired::default(),
            statuses: BTreeMap::new(),
            notices: Vec::new(),
            ancestors: Ancestors::default(),
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
            assigned: self.addresses.assigned(),
        }
    }
}
