//! Maglev's promises: even shares, shares by weight, and few needless moves.

#![expect(clippy::indexing_slicing, reason = "a test stops where it fails")]

use lb_common::balance::maglev::{Candidate, table};
use lb_common::limits::RING_SLOTS_MAX;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SEED: u64 = 7;

/// Three backends in 31 slots, from an independent implementation of the description.
const PLACES: [u32; 31] =
    [0, 1, 2, 0, 2, 1, 0, 0, 2, 1, 2, 0, 0, 2, 1, 1, 2, 0, 1, 0, 1, 2, 2, 0, 2, 1, 1, 2, 0, 0, 1];

fn names(count: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..count).map(|number| format!("backend-{number}")).collect();
    names.sort();
    names
}

fn equal(names: &[String]) -> Vec<Candidate<'_>> {
    names.iter().map(|name| Candidate { name, weight: 1 }).collect()
}

fn loads(table: &[u32], count: usize) -> Vec<u32> {
    let mut loads = vec![0; count];
    for position in table {
        loads[*position as usize] += 1;
    }
    loads
}

/// Slots, in percent, that moved between candidates that are in both sets.
fn excess_percent(one: &[Candidate<'_>], other: &[Candidate<'_>], slots: u32) -> f64 {
    let (before, after) = (table(SEED, one, slots), table(SEED, other, slots));
    let is_in = |set: &[Candidate<'_>], name| set.iter().any(|it| it.name == name);
    let moved = before.iter().zip(&after).map(|(a, b)| (one[*a as usize], other[*b as usize]));
    let moved = moved.filter(|(a, b)| a.name != b.name);
    let excess = moved.filter(|(a, b)| is_in(other, a.name) && is_in(one, b.name));
    excess.count() as f64 * 100.0 / f64::from(slots)
}

#[test]
fn shares_are_even_within_one_percent() {
    for count in [1, 2, 3, 10, 100, 1000] {
        let names = names(count);
        let table = table(SEED, &equal(&names), RING_SLOTS_MAX);
        let largest = *loads(&table, count).iter().max().unwrap_or(&0);
        let mean = f64::from(RING_SLOTS_MAX) / count as f64;
        assert!(f64::from(largest) / mean <= 1.01, "{count} backends: largest share {largest}");
    }
}

#[test]
fn one_backend_more_or_less_moves_under_one_percent_of_the_others() {
    for count in [2, 3, 10, 100, 1000] {
        let names = names(count);
        let all = equal(&names);
        for gone in [0, count / 2, count - 1] {
            let mut rest = all.clone();
            rest.remove(gone);
            let (left, joined) = (
                excess_percent(&all, &rest, RING_SLOTS_MAX),
                excess_percent(&rest, &all, RING_SLOTS_MAX),
            );
            assert!(left <= 1.0 && joined <= 1.0, "{count} backends: {left} %, {joined} %");
        }
    }
}

#[test]
fn weights_are_shares_within_one_percent() {
    let names = names(10);
    let weights = [1, 2, 3, 5, 8, 13, 100, 250, 999, 1000];
    let candidates: Vec<_> =
        names.iter().zip(weights).map(|(name, weight)| Candidate { name, weight }).collect();
    let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
    let loads = loads(&table(SEED, &candidates, RING_SLOTS_MAX), names.len());
    for (load, weight) in loads.iter().zip(weights) {
        let fair = f64::from(RING_SLOTS_MAX) * f64::from(weight) / f64::from(total);
        let off = (f64::from(*load) - fair).abs();
        assert!(off <= 1.0_f64.max(fair / 100.0), "weight {weight}: {load}, fair {fair}");
    }
}

#[test]
fn no_candidates_make_no_table() {
    assert!(table(SEED, &[], RING_SLOTS_MAX).is_empty());
}

#[test]
fn the_seed_and_the_name_alone_place_a_backend() {
    let names = names(3);
    let first = table(SEED, &equal(&names), 1_009);
    assert_eq!(first, table(SEED, &equal(&names), 1_009));
    assert_ne!(first, table(SEED + 1, &equal(&names), 1_009));
    // Any change of hash or order would move every flow of every router being upgraded.
    assert_eq!(table(SEED, &equal(&names), 31), PLACES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_set_fills_the_table_by_weight(
        weights in proptest::collection::btree_map("[a-z0-9.-]{1,20}", 1..=1_000_u16, 1..60),
        seed in any::<u64>(),
    ) {
        let slots = 10_007_u32;
        let weights: BTreeMap<String, u16> = weights;
        let candidates: Vec<_> =
            weights.iter().map(|(name, weight)| Candidate { name, weight: *weight }).collect();
        let table = table(seed, &candidates, slots);
        prop_assert_eq!(table.len(), slots as usize);
        let total: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
        for (load, weight) in loads(&table, candidates.len()).iter().zip(weights.values()) {
            let fair = f64::from(slots) * f64::from(*weight) / total;
            // The last round may be cut, and each backend's turns are rounded down: together less
            // than one slot for each backend, of which this one gets or gives its share.
            let share = f64::from(*weight) / total;
            let most = 1.0 + share * candidates.len() as f64;
            prop_assert!((f64::from(*load) - fair).abs() <= most, "{} of {}", load, fair);
        }
    }
}
