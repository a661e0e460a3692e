//! Random packets over random states: the loaded program and the same path in memory must agree on
//! verdict, bytes, counters and tables.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use std::{collections::BTreeSet, sync::Mutex};

use lb_common::abi::{
    BackendState, Mode, SLOT_MOVED, VIP_FLAG_AFFINITY, VIP_FLAG_PROXIED, VIP_FLAG_SOURCES,
    VIP_FLAG_UDP_STICKS,
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_SIDE, Family, Frame, Kernel, Machine, Memory, SCTP, Shape, State, TCP,
    UDP, V4, V6, differences, ip, moved,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

const BACKENDS: u8 = 4;
const SHAPE: Shape =
    Shape { features: lb_common::abi::Features::ALL, seed: 0xfeed, nat_ports: (20_000, 7) };

fn family() -> impl Strategy<Value = Family> {
    select(vec![V4, V6])
}

fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::L2Dsr, Mode::Tunnel, Mode::Nat, Mode::Dnat])
}

/// A VIP per family, backends of any mode and life, rings with moved slots.
fn state() -> impl Strategy<Value = State> {
    let backend = (
        family(),
        mode(),
        0_u8..8,
        select(vec![0, CLIENT_SIDE, BACKEND_SIDE]),
        1280_u16..1520,
        0_u32..2,
    );
    let slot = (0_u32..=u32::from(BACKENDS), any::<bool>());
    let flags = select(vec![
        0,
        VIP_FLAG_AFFINITY,
        VIP_FLAG_UDP_STICKS,
        VIP_FLAG_AFFINITY | VIP_FLAG_UDP_STICKS,
        VIP_FLAG_PROXIED,
        VIP_FLAG_SOURCES,
    ]);
    let service = (mode(), flags, any::<bool>(), any::<bool>());
    (
        (family(), service),
        vec(backend, usize::from(BACKENDS)),
        vec(slot, 1..6),
        vec(0_u32..=u32::from(BACKENDS), 6),
    )
        .prop_map(|((f, (mode, flags, all_ports, marked)), backends, ring, previous)| {
            let mut state = State::empty()
                .ranges(&[(f.client(), if f == V4 { 32 } else { 128 })])
                .vip(0, (f.vip(), 80), TCP, mode, 0)
                .vip(0, (f.vip(), 80), UDP, mode, 0)
                .vip(0, (f.vip(), 80), SCTP, mode, 0)
                .vip_flags(flags);
            if all_ports {
                state = state.all_ports();
            }
            if marked {
                state = state.marker(f);
            }
            for (number, (other, random, life, ifindex, mtu, generation)) in (1..).zip(backends) {
                // Mostly what a daemon would write, sometimes not.
                let fits = life % 2 == 0;
                let (f, mode) = if fits { (f, mode) } else { (other, random) };
                let life = match life {
                    6 => BackendState::Draining,
                    7 => BackendState::Down,
                    _ => BackendState::Active,
                };
                state = state.backend(number, f, mode).life(number.into(), life).change(
                    number.into(),
                    |entry| {
                        entry.next_hop.ifindex = ifindex;
                        entry.mtu = mtu;
                        entry.id.0 |= generation << 17;
                    },
                );
            }
            let ring: Vec<u32> = ring
                .iter()
                .map(|(index, moved)| index | if *moved { SLOT_MOVED } else { 0 })
                .collect();
            let previous = previous[..ring.len()].to_vec();
            state.ring(0, &ring).previous(0, &previous)
        })
}

/// One packet: a kind, and what varies about it.
fn packet() -> impl Strategy<Value = (Vec<u8>, u32)> {
    let payload = select(vec![0_usize, 1, 7, 64, 1_220, 1_300, 1_430, 1_452, 1_480]);
    let flags = select(vec![2_u8, 16, 17, 4, 18, 24]);
    let ports = (select(vec![40_000_u16, 40_001, 40_002]), select(vec![80_u16, 81]));
    let vary = (any::<[bool; 3]>(), 0_u8..4, any::<u8>(), 1_u8..=BACKENDS, 20_000_u16..20_008);
    let damage = proptest::option::weighted(0.15, (any::<proptest::sample::Index>(), any::<u8>()));
    let cut = proptest::option::weighted(0.1, any::<proptest::sample::Index>());
    (family(), 0_u8..12, payload, flags, ports, vary, damage, cut).prop_map(
        |(f, kind, payload, flags, ports, vary, damage, cut)| {
            let (frame, ifindex) = build(f, kind, payload, flags, ports, vary);
            let mut bytes = frame.bytes();
            if let Some((at, value)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(14 + cut.index(bytes.len() - 13));
            }
            (bytes, ifindex)
        },
    )
}

type Vary = ([bool; 3], u8, u8, u8, u16);

fn build(
    f: Family,
    kind: u8,
    payload: usize,
    flags: u8,
    (source, port): (u16, u16),
    ([other, far, dont_fragment], tags, random, backend, nat_port): Vary,
) -> (Frame, u32) {
    let client = if other { f.other_client() } else { f.client() };
    let to_vip = ip(client, f.vip()).payload(vec![random; payload]);
    let back = if far { client } else { f.router() };
    let reply = ip(f.backend(backend), back).payload(vec![random; payload]);
    let quote = |frame: Frame| frame.packet()[..f.header_bytes() + 8].to_vec();
    let (code, word) = (4, 1_300);
    let error = if f == V4 { 3 } else { 2 };
    let (frame, ifindex) = match kind {
        0..=2 => (to_vip.tcp(source, port).flags(flags), CLIENT_SIDE),
        3 => (to_vip.udp(source, port), CLIENT_SIDE),
        4 => (
            to_vip.icmp(if random < 200 { f.echo().0 } else { random }, 0, random.into()),
            CLIENT_SIDE,
        ),
        5 => {
            let sent = ip(f.vip(), client);
            let sent = if far { sent.tcp(port, source) } else { sent.udp(port, source) };
            let quote = quote(sent);
            (ip(f.stranger(), f.vip()).icmp(error, code, word).payload(quote), CLIENT_SIDE)
        }
        6 => (reply.tcp(80, if far { source } else { nat_port }).flags(flags), BACKEND_SIDE),
        7 => (reply.udp(80, if far { source } else { nat_port }), BACKEND_SIDE),
        8 => {
            let whole = to_vip.payload(vec![random; 600]);
            let whole = if far { whole.udp(source, port) } else { whole.sctp(source, port, 0) };
            let offset = if dont_fragment { 0 } else { 304 };
            (whole.fragment(random.into(), offset, 304), CLIENT_SIDE)
        }
        9 => (to_vip.sctp(source, port, random % 16), CLIENT_SIDE),
        10 => (reply.sctp(80, if far { source } else { nat_port }, random % 16), BACKEND_SIDE),
        _ => {
            let sent = ip(f.router(), f.backend(backend)).udp(nat_port, 80);
            let quote = quote(sent);
            (
                ip(f.backend(backend), f.router()).icmp(error, code, word).payload(quote),
                BACKEND_SIDE,
            )
        }
    };
    let frame = frame.traffic_class(random).hop_limit(random % 5 * 16);
    let frame = if dont_fragment && kind != 8 { frame.dont_fragment() } else { frame };
    let frame = match (f, random % 7) {
        (V4, 0) => frame.options(&[1; 8]),
        (V6, 0) => frame.extension(60, &[1, 4, 0, 0, 0, 0]),
        _ => frame,
    };
    let frame = match tags {
        1 => frame.tag(0x8100, u16::from(random) << 4),
        2 => frame.tag(0x88a8, 7).tag(0x8100, random.into()),
        _ => frame,
    };
    (frame, ifindex)
}

#[test]
fn the_kernel_and_the_path_in_memory_agree() {
    let kernel = Kernel::load(&SHAPE).unwrap();
    kernel.enter().unwrap();
    let kernel = Mutex::new(kernel);
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    let result = runner.run(&(state(), vec(packet(), 1..12)), |(state, packets)| {
        let mut kernel = kernel.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut memory = Memory::new(&SHAPE);
        kernel.set(&state).unwrap();
        memory.set(&state).unwrap();
        for (frame, ifindex) in &packets {
            agree(&mut kernel, &mut memory, frame, *ifindex)?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Runs one frame on both and compares all that can be seen.
fn agree(
    kernel: &mut Kernel,
    memory: &mut Memory,
    frame: &[u8],
    ifindex: u32,
) -> Result<(), TestCaseError> {
    let mut seen = Vec::new();
    for machine in [kernel as &mut dyn Machine, memory] {
        let before = machine.counters().unwrap();
        let traced = machine.trace(frame, ifindex).unwrap();
        let ran = machine.run(frame, ifindex).unwrap();
        if let Some(traced) = traced {
            prop_assert_eq!(traced.verdict, ran.verdict, "the trace showed otherwise");
            prop_assert_eq!(&traced.frame, &ran.frame, "the trace showed otherwise");
        }
        let moves = moved(&before, &machine.counters().unwrap());
        let stored: BTreeSet<String> =
            machine.stored().unwrap().iter().map(ToString::to_string).collect();
        seen.push((ran, moves, stored));
    }
    let (kernel, memory) = (&seen[0], &seen[1]);
    let frames = differences(&memory.0.frame, &kernel.0.frame);
    prop_assert_eq!(
        kernel.0.verdict,
        memory.0.verdict,
        "{:?} {:?}\n{}",
        kernel.1,
        memory.1,
        frames
    );
    prop_assert!(frames.is_empty(), "in memory (-) and in the kernel (+):\n{}", frames);
    prop_assert_eq!(&kernel.1, &memory.1);
    prop_assert_eq!(&kernel.2, &memory.2);
    Ok(())
}
