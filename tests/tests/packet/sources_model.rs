//! Random source ranges and clients: the kernel's trie lets in whom a list of ranges lets in.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{net::IpAddr, sync::Mutex};

use lb_common::abi::Mode;
use lb_tests::packet::{
    CLIENT_PORT, CLIENT_SIDE, Family, Kernel, Machine, Shape, State, V4, V6, VIP_PORT, Verdict, ip,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// A network by its bits, left-aligned in 128, and its length.
type Range = (u128, u8);

const fn bits_of(family: Family) -> u8 {
    match family {
        V4 => 32,
        V6 => 128,
    }
}

/// The address of these bits, left-aligned in 128.
fn address(family: Family, bits: u128) -> IpAddr {
    match family {
        V4 => IpAddr::V4(((bits >> 96) as u32).into()),
        V6 => IpAddr::V6(bits.into()),
    }
}

const fn mask(length: u8) -> u128 {
    match length {
        0 => 0,
        length => u128::MAX << (128 - length),
    }
}

fn is_in(ranges: &[Range], client: u128) -> bool {
    ranges.iter().any(|(network, length)| (network ^ client) & mask(*length) == 0)
}

/// Ranges, of which some lie in others, and clients at their edges.
fn case() -> impl Strategy<Value = (Family, Vec<Range>, Vec<u128>)> {
    let family = prop_oneof![Just(V4), Just(V6)];
    family.prop_flat_map(|f| {
        let all = bits_of(f);
        let base = any::<u128>();
        let range = (0..=all, any::<u128>(), 0..=all);
        let client = (any::<prop::sample::Index>(), 0..all, any::<bool>());
        (base, vec(range, 0..12), vec(client, 1..12)).prop_map(move |(base, ranges, clients)| {
            let ranges: Vec<Range> = ranges
                .into_iter()
                // The first `shared` bits are the same in all.
                .map(|(shared, random, length)| {
                    let bits = base & mask(shared) | random & !mask(shared);
                    (bits & mask(length), length)
                })
                .collect();
            let clients = clients
                .into_iter()
                .map(|(index, flipped, is_flipped)| {
                    let near = if ranges.is_empty() { base } else { index.get(&ranges).0 };
                    let bits = if is_flipped { near ^ 1 << (127 - flipped) } else { near };
                    bits & mask(all)
                })
                .collect();
            (f, ranges, clients)
        })
    })
}

#[test]
fn the_trie_agrees_with_a_list() {
    let shape = Shape::default();
    let kernel = Kernel::load(&shape).unwrap();
    kernel.enter().unwrap();
    let kernel = Mutex::new(kernel);
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let result = runner.run(&case(), |(f, ranges, clients)| {
        let mut kernel = kernel.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wanted: Vec<(IpAddr, u8)> =
            ranges.iter().map(|(network, length)| (address(f, *network), *length)).collect();
        kernel.set(&State::one_backend(f, Mode::L2Dsr).sources(&wanted)).unwrap();
        for client in clients {
            let frame = ip(address(f, client), f.vip()).tcp(CLIENT_PORT, VIP_PORT).bytes();
            let ran = kernel.run(&frame, CLIENT_SIDE).unwrap();
            let expected = if is_in(&ranges, client) { Verdict::Redirect } else { Verdict::Drop };
            prop_assert_eq!(ran.verdict, expected, "{} in {:?}", address(f, client), wanted);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
