//! The tunnel's end: what `lb_decap` strips, passes and drops, in the kernel and in memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use aya::{
    Ebpf, EbpfLoader, TestRun as _, TestRunOptions,
    maps::{HashMap, PerCpuArray},
    programs::Xdp,
};
use lb_common::{
    abi::{OutcomeCounters, Words},
    decap::{self, DecapOutcome},
};
use lb_tests::packet::{Frame, MemoryFrame, ip, words};
use lb_userspace::dataplane::verifier;
use std::net::IpAddr;

const HOSTS: [&str; 2] = ["10.2.0.11", "fd02::11"];
const BALANCERS: [&str; 2] = ["172.16.7.9", "100::7:9"];
const CLIENTS: [&str; 2] = ["198.51.100.7", "2001:db8:c::7"];
const VIPS: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
/// Protocol numbers: IPv4 in IP (RFC 2003, section 3.1), IPv6 in IP (RFC 2473, section 3).
const IN_IP: [u8; 2] = [4, 41];

/// What comes in, what becomes of it, and what the host sees if it is passed.
struct Case {
    name: String,
    input: Vec<u8>,
    outcome: DecapOutcome,
    output: Vec<u8>,
}

#[test]
fn tunnels_of_any_family_in_any_end_with_the_packet_of_the_client() {
    let mut cases = Vec::new();
    for (inner, outer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for (what, packet) in [
            ("TCP", request(inner).tcp(40_000, 80).payload([0x55; 1_300])),
            ("a SYN", request(inner).tcp(40_000, 80).syn()),
            ("an empty UDP datagram", request(inner).udp(40_000, 53)),
            ("another protocol", request(inner).protocol(132).payload([7; 64])),
            (
                "a fragment of the client's",
                request(inner).udp(9, 53).payload([1; 64]).fragment(7, 8, 32),
            ),
        ] {
            let name = format!("{what}, IPv{} in IPv{}", 4 + 2 * inner, 4 + 2 * outer);
            cases.push(strips(name, tunnel(outer, inner, &packet).bytes(), packet.bytes()));
        }
    }
    run(&cases);
}

#[test]
fn what_is_no_tunnel_for_this_host_passes_untouched() {
    let inner = request(0).tcp(40_000, 80);
    let elsewhere = ip(address(BALANCERS[0]), address("10.2.0.12"));
    let cases = [
        ("plain TCP to the host", ip(address(CLIENTS[0]), address(HOSTS[0])).tcp(40_000, 22)),
        ("plain TCP to the VIP", request(0).tcp(40_000, 80)),
        ("a tunnel to another host", elsewhere.protocol(IN_IP[0]).payload(inner.packet())),
        ("a tagged tunnel", tunnel(0, 0, &inner).tag(0x8100, 7)),
        ("options in the outer header", tunnel(0, 0, &inner).options(&[1; 4])),
        ("extensions of the outer header", tunnel(1, 0, &inner).extension(0, &[1, 4, 0, 0, 0, 0])),
        ("a header cut short", tunnel(0, 0, &inner).cut(14 + 12)),
        ("an empty frame", tunnel(0, 0, &inner).cut(14)),
    ];
    run(&cases.map(|(name, frame)| Case {
        name: name.to_owned(),
        input: frame.bytes(),
        outcome: DecapOutcome::Passed,
        output: frame.bytes(),
    }));
}

#[test]
fn broken_tunnels_are_dropped_by_name() {
    let mut cases = Vec::new();
    for outer in [0, 1] {
        let inner = request(0).tcp(40_000, 80);
        for (what, frame, outcome) in [
            (
                "an inner packet of the other family",
                end(outer).protocol(IN_IP[1]).payload(inner.packet()),
                DecapOutcome::DroppedMalformed,
            ),
            ("nothing inside", end(outer).protocol(IN_IP[0]), DecapOutcome::DroppedMalformed),
            (
                "a fragment of a tunnel packet",
                end(outer).protocol(IN_IP[0]).payload(inner.packet()).fragment(7, 0, 24),
                DecapOutcome::DroppedFragment,
            ),
        ] {
            let name = format!("{what}, outer IPv{}", 4 + 2 * outer);
            let (input, output) = (frame.bytes(), frame.bytes());
            cases.push(Case { name, input, outcome, output });
        }
    }
    run(&cases);
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// From the client to the VIP.
fn request(family: usize) -> Frame {
    ip(address(CLIENTS[family]), address(VIPS[family]))
}

/// From a balancer to this host.
fn end(family: usize) -> Frame {
    ip(address(BALANCERS[family]), address(HOSTS[family]))
}

fn tunnel(outer: usize, inner: usize, packet: &Frame) -> Frame {
    end(outer).protocol(IN_IP[inner]).payload(packet.packet())
}

fn strips(name: String, input: Vec<u8>, output: Vec<u8>) -> Case {
    Case { name, input, outcome: DecapOutcome::Stripped, output }
}

/// Runs each case in memory and in the loaded program: same outcome, same frame, counted once.
fn run(cases: &[Case]) {
    let locals = HOSTS.map(|host| words(address(host)));
    let mut kernel = Kernel::load(&locals);
    for case in cases {
        let mut frame = MemoryFrame::new(&case.input, 1);
        let outcome = decap::strip(&mut frame, |it| locals.contains(it));
        assert_eq!(outcome, case.outcome, "{}, in memory", case.name);
        if !outcome.is_drop() {
            assert_eq!(frame.bytes(), case.output, "{}, in memory", case.name);
        }

        let before = kernel.counters();
        let (verdict, output) = kernel.run(&case.input);
        let wanted = if case.outcome.is_drop() { 1 } else { 2 };
        assert_eq!(verdict, wanted, "{}: XDP_DROP is 1, XDP_PASS is 2", case.name);
        if !case.outcome.is_drop() {
            assert_eq!(output, case.output, "{}", case.name);
        }
        let mut counted = before;
        counted[case.outcome as usize].0 += 1;
        counted[case.outcome as usize].1 += case.input.len() as u64;
        assert_eq!(kernel.counters(), counted, "{}", case.name);
    }
    println!("lb_decap: {} rows", cases.len());
}

struct Kernel(Ebpf);

impl Kernel {
    fn load(locals: &[Words]) -> Self {
        let mut loader = EbpfLoader::new();
        for map in ["lb_backends", "lb_backend_stat", "lb_rings", "lb_previous", "lb_vip_events"] {
            loader.map_max_entries(map, 1);
        }
        let mut ebpf = loader.load(lb_userspace::EBPF_OBJECT).unwrap();
        let program: &mut Xdp = ebpf.program_mut("lb_decap").unwrap().try_into().unwrap();
        verifier::load("lb_decap", || program.load()).unwrap();
        let map = ebpf.map_mut("lb_decap_local").unwrap();
        let mut local: HashMap<_, Words, u32> = map.try_into().unwrap();
        for words in locals {
            local.insert(words, 1, 0).unwrap();
        }
        Self(ebpf)
    }

    fn run(&mut self, frame: &[u8]) -> (u32, Vec<u8>) {
        let program: &mut Xdp = self.0.program_mut("lb_decap").unwrap().try_into().unwrap();
        let mut output = vec![0; 4_096];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        };
        let result = program.test_run(options).unwrap();
        output.truncate(result.data_size_out as usize);
        (result.return_value, output)
    }

    /// Packets and bytes of each outcome.
    fn counters(&self) -> [(u64, u64); decap::DECAP_OUTCOMES as usize] {
        let map = self.0.map("lb_decap_stat").unwrap();
        let map: PerCpuArray<_, OutcomeCounters> = map.try_into().unwrap();
        DecapOutcome::ALL.map(|outcome| {
            let cpus = map.get(&(outcome as u32), 0).unwrap();
            (cpus.iter().map(|it| it.packets).sum(), cpus.iter().map(|it| it.bytes).sum())
        })
    }
}
