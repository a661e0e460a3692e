//! Who has which addresses.

use super::draft::Draft;
use crate::ObjectId;
use std::{collections::BTreeMap, net::IpAddr};

/// Addresses by owner: a Service, a Gateway or an IngressClass (in the first cluster that has it).
#[derive(Debug, Default)]
pub(super) struct Addresses {
    owners: BTreeMap<ObjectId, Result<Vec<Assigned>, Unassigned>>,
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
    /// Reason of a condition: `AddressNotUsable`, `AddressNotAssigned`.
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
                reason: "AddressNotAssigned",
                message: "no address is assigned yet".to_owned(),
            }),
        }
    }
}

/// Gives every owner its addresses.
pub(super) fn lower(draft: &mut Draft<'_>) {
    draft.addresses.owners.clear();
}
