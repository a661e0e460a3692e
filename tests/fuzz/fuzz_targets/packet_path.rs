//! The whole packet path on arbitrary frames over a small arbitrary state. Must hold whatever the
//! input: no panic, every frame counted once, lengths that follow from what was done, and
//! checksums as right afterwards as they were before.
#![no_main]

#[path = "../../src/packet/checksum.rs"]
mod checksum;
#[path = "../../src/packet/memory/frame.rs"]
mod frame;
mod state;
#[path = "../../src/packet/memory/tables.rs"]
mod tables;

use lb_common::{
    packet::PacketView as _,
    verdict::{Outcome, Verdict},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

use checksum::checksums_valid;
use frame::MemoryFrame;
use state::{CLIENT_SIDE, Setting};
use tables::MemoryTables;

/// Longest frame: an Ethernet jumbo.
const FRAME_BYTES_MAX: usize = 9_018;
/// What a tunnel adds at most: an IPv6 header.
const TUNNEL_BYTES: usize = 40;
/// An ICMPv6 error: Ethernet, two tags, outer header, ICMP header, quoted header and ports.
const ANSWER_BYTES: usize = 14 + 8 + 40 + 8 + 40 + 8;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setting: Setting,
    shaped: bool,
    frames: Vec<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    let tables = input.setting.tables();
    for frame in input.frames.iter().take(8) {
        let mut bytes = frame.to_vec();
        bytes.truncate(FRAME_BYTES_MAX);
        if input.shaped {
            input.setting.shape(&mut bytes);
        }
        check(&tables, &bytes);
    }
});

/// Runs one frame and checks what came of it.
fn check(tables: &MemoryTables, bytes: &[u8]) {
    let counted = packets(tables);
    let right = ip(bytes).is_none_or(checksums_valid);
    let mut view = MemoryFrame::new(bytes, CLIENT_SIDE);
    let verdict = tables.process(&mut view);
    assert_eq!(packets(tables), counted + 1, "{verdict:?} was not counted once");
    let (before, after) = (bytes.len(), view.length());
    match verdict {
        Verdict::Pass(Outcome::PassNoNeighbour) => assert_eq!(after, before),
        Verdict::Pass(_) | Verdict::Proxy { .. } => {
            assert_eq!(view.bytes(), bytes, "passed, but not untouched");
        }
        Verdict::Drop(_) => {}
        Verdict::Answer(Outcome::EchoAnswered) => assert_eq!(after, before),
        Verdict::Answer(_) => assert!(after <= ANSWER_BYTES, "an answer of {after} bytes"),
        Verdict::Forward { ifindex, reply, .. } => {
            assert!(after == before || after == before + 20 || after == before + TUNNEL_BYTES);
            assert!(!reply || after == before, "a reply changed its length");
            assert_ne!(ifindex, 0, "sent nowhere");
        }
    }
    let sent = matches!(verdict, Verdict::Forward { .. } | Verdict::Answer(_));
    if sent && right {
        let packet = ip(view.bytes()).expect("what is sent is IP");
        assert!(checksums_valid(packet), "{verdict:?} broke a checksum");
    }
}

fn packets(tables: &MemoryTables) -> u64 {
    let counters = tables.counters.borrow();
    counters.iter().filter(|(name, _)| name.ends_with("packets")).map(|(_, count)| count).sum()
}

/// The IP packet in a frame, if the link layer says that there is one.
fn ip(frame: &[u8]) -> Option<&[u8]> {
    let mut at = 12;
    for _ in 0..3 {
        match frame.get(at..at + 2)? {
            [0x81, 0x00] | [0x88, 0xa8] => at += 4,
            [0x08, 0x00] | [0x86, 0xdd] => return frame.get(at + 2..),
            _ => return None,
        }
    }
    None
}
