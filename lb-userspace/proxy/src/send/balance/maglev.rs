//! By a hash over a Maglev table: the same code as the kernel path's ring, so that all routers
//! send a client to the same endpoint.

use super::{Takers, Wanted, draw};
use crate::send::endpoint::Endpoint;
use lb_common::balance::{
    maglev::{Candidate, table},
    slot_of,
};
use std::sync::Arc;

/// Table sizes, primes. The smallest with 100 slots per endpoint is taken: shares differ by less
/// than 1 % then (Eisenbud et al., section 5.3).
const SIZES: [u32; 4] = [1_021, 4_093, 16_381, 65_537];

/// Slots per endpoint.
const SLOTS_PER_ENDPOINT: usize = 100;

/// Slots that a walk looks at.
const STEPS_MAX: usize = 256;

/// The table: positions among the takers.
#[derive(Debug)]
pub(in crate::send) struct Ring(Vec<u32>);

impl Ring {
    /// For these endpoints.
    pub(super) fn new(endpoints: &[Arc<Endpoint>], seed: u64) -> Self {
        let wanted = endpoints.len() * SLOTS_PER_ENDPOINT;
        let size = SIZES.iter().copied().find(|size| *size as usize >= wanted);
        let [.., largest] = SIZES;
        // A name in DNS stands for several endpoints: the address keeps them apart.
        let names: Vec<_> = endpoints
            .iter()
            .map(|it| match it.host_name {
                Some(_) => format!("{}/{}", it.name, it.address.ip()),
                None => it.name.to_string(),
            })
            .collect();
        let candidate = |(name, it): (_, &Arc<Endpoint>)| Candidate { name, weight: it.weight };
        let mut candidates: Vec<_> =
            names.iter().map(String::as_str).zip(endpoints).map(candidate).zip(0_u32..).collect();
        candidates.sort_by_key(|(candidate, _)| candidate.name);
        let (candidates, positions): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
        let table = table(seed, &candidates, size.unwrap_or(largest));
        let position = |it: u32| positions.get(it as usize).copied();
        Self(table.into_iter().filter_map(position).collect())
    }

    /// The endpoint of a hash. If that is not wanted, the next slots' owners, so that only the
    /// requests of the one that is gone move, and spread over all others.
    pub(super) fn choose<'a>(
        &self,
        takers: &'a Takers,
        wanted: &Wanted<'_>,
        hash: u64,
    ) -> Option<&'a Arc<Endpoint>> {
        let slots = u32::try_from(self.0.len()).ok()?;
        let start = slot_of((hash >> 32) as u32, slots) as usize;
        let from_start = self.0.get(start..).unwrap_or_default().iter();
        let walk = from_start.chain(&self.0).take(STEPS_MAX);
        let owners = walk.filter_map(|position| takers.endpoints.get(*position as usize));
        owners.into_iter().find(|endpoint| wanted.admits(endpoint)).or_else(|| {
            // Nearly all are gone: consistency has nothing to hold on to.
            takers.endpoints.get(draw::draw(takers, wanted, None)?)
        })
    }
}
