//! Who has which addresses.

mod allocate;
mod owner;
mod pool;
#[cfg(test)]
mod properties;
mod request;
#[cfg(test)]
mod tests;

use super::draft::Draft;
use crate::{ObjectId, ObjectKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// Addresses by owner: a Service, a Gateway or an IngressClass, in each cluster that has it.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    owners: BTreeMap<ObjectId, Result<Vec<Assigned>, Unassigned>>,
    assigned: Arc<BTreeMap<ObjectId, Vec<IpAddr>>>,
}

/// An address that an owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    /// The address.
    pub(super) address: IpAddr,
    /// It belongs to this host: listeners are bound there. Else it is a VIP.
    pub(super) bind: bool,
}

/// Why an owner has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unassigned {
    /// Reason of a condition: `AddressNotUsable` and `AddressNotAssigned` of `Programmed`,
    /// `UnsupportedAddress` of `Accepted`.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
}

impl Addresses {
    /// Addresses of `owner`.
    pub(super) fn of(&self, owner: &ObjectId) -> Result<&[Assigned], Unassigned> {
        match self.owners.get(owner) {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(why)) => Err(why.clone()),
            None => Err(Unassigned {
                reason: allocate::NOT_ASSIGNED,
                message: "no address is assigned yet".to_owned(),
            }),
        }
    }

    /// Addresses by owner, in the first cluster that has it.
    pub(super) fn assigned(&self) -> Arc<BTreeMap<ObjectId, Vec<IpAddr>>> {
        Arc::clone(&self.assigned)
    }
}

/// Gives every owner its addresses.
pub(super) fn lower(draft: &mut Draft<'_>) {
    let pools = pool::pools(draft);
    let owners = owner::owners(draft, &pools);
    let claims: Vec<_> = owners.iter().map(|it| it.claim.clone()).collect();
    let outcomes = allocate::allocate(&pools, &claims, draft.world.leads);
    let mut assigned = BTreeMap::new();
    let mut held = BTreeSet::new();
    for (owner, outcome) in owners.iter().zip(outcomes) {
        let Some(first) = owner.ids.first() else { continue };
        let problem = owner.refusal.clone().or(outcome.problem);
        let addresses: Vec<IpAddr> = outcome.addresses.iter().map(|it| it.address).collect();
        if let Some(problem) = problem.as_ref().filter(|_| draft.world.leads) {
            for id in &owner.ids {
                draft.warn(id.clone(), problem.reason, problem.message.clone());
            }
        }
        let result = match problem {
            Some(problem) if addresses.is_empty() => Err(problem),
            _ => Ok(outcome.addresses),
        };
        for id in &owner.ids {
            draft.addresses.owners.insert(id.clone(), result.clone());
        }
        held.extend(addresses.iter().copied());
        assigned.insert(first.clone(), addresses);
    }
    draft.addresses.assigned = Arc::new(assigned);
    pool::report(draft, &pools, &held);
}

/// An address that an object names itself, if it lies in a pool that is for the object.
pub(super) fn pooled(
    draft: &Draft<'_>,
    cluster: Option<usize>,
    key: &ObjectKey,
    labels: Option<&BTreeMap<String, String>>,
    address: IpAddr,
) -> Option<Assigned> {
    let none = BTreeMap::new();
    let pools = pool::pools(draft);
    let pool = pools.iter().find(|it| it.contains(address))?;
    let is_for_it = pool.admits(draft, cluster?, &key.namespace, labels.unwrap_or(&none));
    is_for_it.then_some(Assigned { address, bind: pool.bind })
}
