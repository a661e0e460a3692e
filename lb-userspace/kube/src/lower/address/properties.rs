//! What holds for all claims.

use super::{
    allocate::{Claim, Outcome, Want, allocate},
    pool::Pool,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, net::IpAddr};

/// Few addresses, keys and ports: claims get in each other's way.
fn pools() -> Vec<Pool> {
    let pool = |name: &str, ranges: &[&str], auto_assign| Pool {
        name: name.into(),
        ranges: ranges.iter().map(|it| it.parse().unwrap()).collect(),
        auto_assign,
        ..Pool::default()
    };
    vec![
        pool("a", &["192.0.2.1-192.0.2.3", "2001:db8::1-2001:db8::2"], true),
        pool("b", &["192.0.2.7-192.0.2.8"], false),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.7", "192.0.2.9", "2001:db8::1"];
    prop::sample::select(addresses.map(|it| it.parse().unwrap()).to_vec())
}

fn want() -> impl Strategy<Value = Want> {
    prop_oneof![
        address().prop_map(Want::Exact),
        (any::<bool>(), any::<bool>())
            .prop_map(|(is_ipv4, is_required)| Want::Family { is_ipv4, is_required }),
        Just(Want::Any),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    let key = prop::option::of(prop::sample::select(vec!["k", "l"]));
    let port = (prop::sample::select(vec!["TCP", "UDP"]), 1_u16..4);
    let pools = prop::sample::select(vec![vec![0, 1], vec![1], vec![]]);
    (vec(want(), 0..3), key, vec(port, 0..3), pools, any::<bool>(), vec(address(), 0..2)).prop_map(
        |(wants, key, ports, pools, is_pool_named, current)| Claim {
            wants: once(wants),
            sharing_key: key.map(str::to_owned),
            ports: ports.into_iter().map(|(protocol, it)| (protocol.to_owned(), it)).collect(),
            pools,
            is_pool_named,
            current,
            ..Claim::default()
        },
    )
}

/// Requests name an address once.
fn once(wants: Vec<Want>) -> Vec<Want> {
    let mut found = Vec::new();
    for want in wants {
        if want == Want::Any || !found.contains(&want) {
            found.push(want);
        }
    }
    found
}

fn addresses(outcome: &Outcome) -> Vec<IpAddr> {
    outcome.addresses.iter().map(|it| it.address).collect()
}

/// Status as it is once everything is written.
fn written(claims: &[Claim], outcomes: &[Outcome]) -> Vec<Claim> {
    let written = claims.iter().zip(outcomes);
    written.map(|(claim, it)| Claim { current: addresses(it), ..claim.clone() }).collect()
}

fn check_disjoint(claims: &[Claim], outcomes: &[Outcome]) {
    let mut holders: BTreeMap<IpAddr, Vec<&Claim>> = BTreeMap::new();
    for (claim, outcome) in claims.iter().zip(outcomes) {
        for address in addresses(outcome) {
            for other in holders.get(&address).into_iter().flatten() {
                assert!(claim.sharing_key.is_some(), "{address} has two owners");
                assert_eq!(claim.sharing_key, other.sharing_key);
                assert!(claim.ports.is_disjoint(&other.ports), "{address} has a port twice");
            }
            holders.entry(address).or_default().push(claim);
        }
    }
}

proptest! {
    #[test]
    fn no_two_have_one_address_without_sharing(claims in vec(claim(), 0..8), leads: bool) {
        let pools = pools();
        let outcomes = allocate(&pools, &claims, leads);
        check_disjoint(&claims, &outcomes);
        for (claim, outcome) in claims.iter().zip(&outcomes) {
            for address in addresses(outcome) {
                let admits = |it: &&usize| pools[**it].contains(address);
                assert!(claim.pools.iter().any(|it| admits(&it)));
                assert!(leads || claim.current.contains(&address));
            }
        }
    }

    #[test]
    fn what_is_written_stays_whoever_comes_or_goes(
        claims in vec(claim(), 1..8),
        more in vec(claim(), 0..4),
        place in 0_usize..8,
        gone in 0_usize..8,
    ) {
        let pools = pools();
        let outcomes = allocate(&pools, &claims, true);
        let mut claims = written(&claims, &outcomes);
        let expected: Vec<_> = outcomes.iter().map(addresses).collect();
        let mut expected: Vec<Option<_>> = expected.into_iter().map(Some).collect();
        let place = place.min(claims.len());
        for claim in more {
            // Nothing of it is written yet.
            claims.insert(place, Claim { current: Vec::new(), ..claim });
            expected.insert(place, None);
        }
        let gone = gone.min(claims.len() - 1);
        claims.remove(gone);
        expected.remove(gone);
        let outcomes = allocate(&pools, &claims, true);
        check_disjoint(&claims, &outcomes);
        for (outcome, expected) in outcomes.iter().zip(expected) {
            let found = addresses(outcome);
            // Whoever lacks something may get it now.
            assert!(expected.iter().flatten().all(|it| found.contains(it)));
        }
    }

    #[test]
    fn it_settles_and_a_follower_agrees(claims in vec(claim(), 0..8)) {
        let pools = pools();
        let mut claims = claims;
        // A written status may free what another waits for, which may free something again.
        for _ in 0..=claims.len() {
            let outcomes = allocate(&pools, &claims, true);
            claims = written(&claims, &outcomes);
        }
        let leader = allocate(&pools, &claims, true);
        let follower = allocate(&pools, &claims, false);
        for (claim, (leader, follower)) in claims.iter().zip(leader.iter().zip(&follower)) {
            assert_eq!(addresses(leader), claim.current);
            assert_eq!(addresses(leader), addresses(follower));
        }
    }
}

#[test]
fn many_claims_take_little_time() {
    let pool =
        Pool { ranges: vec!["10.0.0.0/14".parse().unwrap()], auto_assign: true, ..Pool::default() };
    let claim = Claim { wants: vec![Want::Any], pools: vec![0], ..Claim::default() };
    let outcomes = allocate(&[pool], &vec![claim; 100_000], true);
    let last = outcomes.last().map(addresses).unwrap();
    assert_eq!(last, ["10.1.134.159".parse::<IpAddr>().unwrap()]);
}
