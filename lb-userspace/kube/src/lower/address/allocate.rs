//! Allocation: claims and pools in, addresses out.
//!
//! What status (or the last lowering) names is kept while it is valid, the elder claim first. What
//! is left is handed out by the leader alone: first to claims of certain addresses, then in order
//! of age. An address that any other claim's status still names is not handed out: two replicas
//! would give it to two.

use super::{Assigned, Unassigned, pool::Pool};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Reason: it was asked for this address, which cannot be had.
pub(super) const NOT_USABLE: &str = "AddressNotUsable";

/// Reason: none could be found, or none is found yet.
pub(super) const NOT_ASSIGNED: &str = "AddressNotAssigned";

/// Who wants what. Claims are given in order of age.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    /// For people: kind and name.
    pub(super) name: String,
    /// Addresses that are wanted, in order.
    pub(super) wants: Vec<Want>,
    /// Pools that it may have addresses of, by place.
    pub(super) pools: Vec<usize>,
    /// Why there are no more of them.
    pub(super) pools_note: String,
    /// Pools of [`Self::pools`] also give it addresses that it did not name.
    pub(super) is_pool_named: bool,
    /// Claims with the same key share addresses.
    pub(super) sharing_key: Option<String>,
    /// Ports that it takes, by protocol.
    pub(super) ports: BTreeSet<(String, u16)>,
    /// Addresses that it has by status or by the last lowering.
    pub(super) current: Vec<IpAddr>,
}

/// One address that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// This one.
    Exact(IpAddr),
    /// One of a family.
    Family {
        /// IPv4, else IPv6.
        is_ipv4: bool,
        /// It is an error if there is none.
        is_required: bool,
    },
    /// One of any family.
    Any,
}

/// What came of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Addresses in order of what was wanted. Those of a claim of certain ones are all or none.
    pub(super) addresses: Vec<Assigned>,
    /// What is wrong, or missing beside those.
    pub(super) problem: Option<Unassigned>,
}

/// Gives every claim its addresses. Only a leader hands out new ones.
pub(super) fn allocate(pools: &[Pool], claims: &[Claim], leads: bool) -> Vec<Outcome> {
    let mut table = Table::new(pools, claims);
    for (index, claim) in claims.iter().enumerate() {
        table.keep(index, claim);
    }
    if leads {
        for certain in [true, false] {
            for (index, claim) in claims.iter().enumerate() {
                table.hand_out(index, claim, certain);
            }
        }
    }
    claims.iter().zip(table.given).map(|(claim, given)| outcome(claim, given)).collect()
}

/// What a claim got for each thing it wants, or why not.
type Given = Vec<Result<Assigned, String>>;

struct Table<'a> {
    pools: &'a [Pool],
    claims: &'a [Claim],
    given: Vec<Given>,
    held: BTreeMap<IpAddr, Holding<'a>>,
    by_key: BTreeMap<&'a str, BTreeSet<IpAddr>>,
    /// Addresses that claims name as theirs but do not keep, by who does.
    named: BTreeMap<IpAddr, BTreeSet<usize>>,
    /// Distance from the start of a range (by pool and range) below which nothing is free.
    tried: BTreeMap<(usize, usize), u128>,
}

/// Who has an address.
struct Holding<'a> {
    first: usize,
    key: Option<&'a str>,
    ports: BTreeMap<&'a (String, u16), usize>,
}

impl<'a> Table<'a> {
    fn new(pools: &'a [Pool], claims: &'a [Claim]) -> Self {
        let nothing = || Err("no address is assigned yet".to_owned());
        let given = claims.iter().map(|it| it.wants.iter().map(|_| nothing()).collect()).collect();
        Self {
            pools,
            claims,
            given,
            held: BTreeMap::new(),
            by_key: BTreeMap::new(),
            named: BTreeMap::new(),
            tried: BTreeMap::new(),
        }
    }

    /// Keeps what the claim has and may have. Certain addresses choose first.
    fn keep(&mut self, index: usize, claim: &'a Claim) {
        let mut left = claim.current.clone();
        for certain in [true, false] {
            for (place, want) in claim.wants.iter().enumerate() {
                if want.is_certain() != certain {
                    continue;
                }
                let fits = |it: &&IpAddr| {
                    want.takes(**it)
                        && self.pool_of(claim, **it).is_some()
                        && self.conflict(index, claim, **it).is_none()
                };
                let Some(address) = left.iter().find(fits).copied() else { continue };
                left.retain(|it| *it != address);
                self.give(index, claim, place, address);
            }
        }
        for address in left {
            self.named.entry(address).or_default().insert(index);
        }
    }

    /// Finds what the claim has not got yet: the certain addresses, or the others if it has those.
    fn hand_out(&mut self, index: usize, claim: &'a Claim, certain: bool) {
        let lacks = |(want, given): (&Want, &Result<_, _>)| want.is_certain() && given.is_err();
        if !certain && claim.wants.iter().zip(self.given_to(index)).any(lacks) {
            return;
        }
        for (place, want) in claim.wants.iter().enumerate() {
            let is_given = self.given_to(index).nth(place).is_some_and(Result::is_ok);
            if is_given || want.is_certain() != certain {
                continue;
            }
            let found = match want {
                Want::Exact(address) => self.exact(index, claim, *address),
                Want::Family { is_ipv4, .. } => self.of_family(index, claim, *is_ipv4),
                Want::Any => self.of_any(index, claim),
            };
            match found {
                Ok(address) => self.give(index, claim, place, address),
                Err(message) => self.refuse(index, place, message),
            }
        }
    }

    fn exact(&self, index: usize, claim: &Claim, address: IpAddr) -> Result<IpAddr, String> {
        if self.pool_of(claim, address).is_none() {
            return Err(format!("{address} is in no pool that it may use{}", claim.pools_note));
        }
        match self.conflict(index, claim, address).or_else(|| self.claimed(index, address)) {
            Some(conflict) => Err(conflict),
            None => Ok(address),
        }
    }

    /// The family that it has less of, IPv4 if that is none.
    fn of_any(&mut self, index: usize, claim: &Claim) -> Result<IpAddr, String> {
        let has = |is_ipv4| {
            let given = self.given_to(index).filter_map(|it| it.as_ref().ok());
            given.filter(|it| it.address.is_ipv4() == is_ipv4).count()
        };
        let is_ipv4 = has(true) <= has(false);
        let shared = self.shared(index, claim, is_ipv4);
        if let Some(shared) = shared.or_else(|| self.shared(index, claim, !is_ipv4)) {
            return shared;
        }
        self.of_family(index, claim, is_ipv4)
            .or_else(|_| self.of_family(index, claim, !is_ipv4))
            .map_err(|_| format!("no pool has a free address for it{}", claim.pools_note))
    }

    fn of_family(&mut self, index: usize, claim: &Claim, is_ipv4: bool) -> Result<IpAddr, String> {
        if let Some(shared) = self.shared(index, claim, is_ipv4) {
            return shared;
        }
        for pool in claim.pools.iter().copied() {
            let Some(found) = self.pools.get(pool) else { continue };
            if !found.auto_assign && !claim.is_pool_named {
                continue;
            }
            for (place, range) in found.ranges.iter().enumerate() {
                let start = self.tried.get(&(pool, place)).copied().unwrap_or_default();
                if range.first.is_ipv4() != is_ipv4 {
                    continue;
                }
                let mut free = (start..range.count()).map_while(|it| Some((it, range.nth(it)?)));
                let is_free = |it: &(u128, IpAddr)| {
                    !self.held.contains_key(&it.1) && self.claimed(index, it.1).is_none()
                };
                let first = free.find(is_free);
                let tried = first.map_or_else(|| range.count(), |it| it.0.saturating_add(1));
                self.tried.insert((pool, place), tried);
                if let Some((_, address)) = first {
                    return Ok(address);
                }
            }
        }
        let family = if is_ipv4 { "IPv4" } else { "IPv6" };
        Err(format!("no pool has a free {family} address for it{}", claim.pools_note))
    }

    /// The address that claims of the same key share, if there is one that it may have.
    fn shared(&self, index: usize, claim: &Claim, is_ipv4: bool) -> Option<Result<IpAddr, String>> {
        let mut refusal = None;
        for address in self.by_key.get(claim.sharing_key.as_deref()?).into_iter().flatten() {
            let mut own = self.given_to(index).filter_map(|it| it.as_ref().ok());
            let is_own = own.any(|it| it.address == *address);
            if is_own || address.is_ipv4() != is_ipv4 || self.pool_of(claim, *address).is_none() {
                continue;
            }
            match self.conflict(index, claim, *address).or_else(|| self.claimed(index, *address)) {
                None => return Some(Ok(*address)),
                Some(conflict) => refusal = refusal.or(Some(Err(conflict))),
            }
        }
        refusal
    }

    /// The first pool with an address that the claim may use.
    fn pool_of(&self, claim: &Claim, address: IpAddr) -> Option<&'a Pool> {
        let mut pools = claim.pools.iter().filter_map(|it| self.pools.get(*it));
        pools.find(|it| it.contains(address))
    }

    /// Why a claim cannot have an address beside who has it.
    fn conflict(&self, index: usize, claim: &Claim, address: IpAddr) -> Option<String> {
        let holding = self.held.get(&address)?;
        let name = |index: usize| self.claims.get(index).map_or("", |it| it.name.as_str());
        if holding.key.is_none() || holding.key != claim.sharing_key.as_deref() {
            return (holding.first != index).then(|| {
                format!("{address} belongs to {}, which does not share it", name(holding.first))
            });
        }
        claim.ports.iter().find_map(|port| {
            let holder = holding.ports.get(port).filter(|it| **it != index)?;
            let (protocol, number) = port;
            Some(format!("{} has port {number} ({protocol}) of {address}", name(*holder)))
        })
    }

    /// Who else's status still names an address.
    fn claimed(&self, index: usize, address: IpAddr) -> Option<String> {
        let other = self.named.get(&address)?.iter().find(|it| **it != index)?;
        let name = self.claims.get(*other).map_or("", |it| it.name.as_str());
        Some(format!("{address} is still in the status of {name}"))
    }

    fn give(&mut self, index: usize, claim: &'a Claim, place: usize, address: IpAddr) {
        let bind = self.pool_of(claim, address).is_some_and(|it| it.bind);
        let key = claim.sharing_key.as_deref();
        let holding = self.held.entry(address).or_insert_with(|| Holding {
            first: index,
            key,
            ports: BTreeMap::new(),
        });
        holding.ports.extend(claim.ports.iter().map(|it| (it, index)));
        if let Some(key) = key {
            self.by_key.entry(key).or_default().insert(address);
        }
        if let Some(given) = self.given.get_mut(index).and_then(|it| it.get_mut(place)) {
            *given = Ok(Assigned { address, bind });
        }
    }

    fn refuse(&mut self, index: usize, place: usize, message: String) {
        if let Some(given) = self.given.get_mut(index).and_then(|it| it.get_mut(place)) {
            *given = Err(message);
        }
    }

    fn given_to(&self, index: usize) -> impl Iterator<Item = &Result<Assigned, String>> {
        self.given.get(index).into_iter().flatten()
    }
}

impl Want {
    fn is_certain(self) -> bool {
        matches!(self, Self::Exact(_))
    }

    fn takes(self, address: IpAddr) -> bool {
        match self {
            Self::Exact(exact) => exact == address,
            Self::Family { is_ipv4, .. } => address.is_ipv4() == is_ipv4,
            Self::Any => true,
        }
    }
}

fn outcome(claim: &Claim, given: Given) -> Outcome {
    let mut exact = None;
    let mut missing = None;
    let mut optional = None;
    let mut addresses = Vec::new();
    for (want, given) in claim.wants.iter().zip(given) {
        match (given, want) {
            (Ok(address), _) => addresses.push(address),
            (Err(message), Want::Exact(_)) => exact = exact.or(Some(message)),
            (Err(message), Want::Family { is_required: false, .. }) => {
                optional = optional.or(Some(message));
            }
            (Err(message), _) => missing = missing.or(Some(message)),
        }
    }
    if let Some(message) = exact {
        let problem = Some(Unassigned { reason: NOT_USABLE, message });
        return Outcome { addresses: Vec::new(), problem };
    }
    let missing = missing.or_else(|| optional.filter(|_| addresses.is_empty()));
    let problem = missing.map(|message| Unassigned { reason: NOT_ASSIGNED, message });
    Outcome { addresses, problem }
}
