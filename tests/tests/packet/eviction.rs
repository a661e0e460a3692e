//! Full flow tables: something is forgotten, and is a miss when it comes again; no flow is refused.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::tracking::{CURRENT, PREVIOUS, moved as moved_slot};
use lb_common::{abi::Mode, verdict::Event};
use lb_tests::packet::{
    CLIENT_SIDE, Counters, Delta, FAMILIES, Family, Frame, Kernel, Machine as _, Shape, State,
    TABLE_ENTRIES, VIP_PORT, Verdict, ip, moved,
};

/// The source port of the first flow; each has one of its own.
const FIRST_PORT: u16 = 10_000;
/// Flows that are opened: more than fit.
const FLOWS: u16 = 4 * TABLE_ENTRIES as u16;

fn packet(family: Family, flow: u16) -> Frame {
    ip(family.client(), family.vip()).tcp(FIRST_PORT + flow, VIP_PORT)
}

fn datagram(family: Family, flow: u16) -> Frame {
    ip(family.client(), family.vip()).udp(FIRST_PORT + flow, VIP_PORT)
}

/// Runs a packet, which must be forwarded; what it counted.
fn forwarded(kernel: &mut Kernel, packet: &Frame) -> Counters {
    let before = kernel.counters().unwrap();
    let ran = kernel.run(&packet.bytes(), CLIENT_SIDE).unwrap();
    assert_eq!(ran.verdict, Verdict::Redirect);
    moved(&before, &kernel.counters().unwrap())
}

/// Opens all flows, and asserts that each is counted as `opened` says. Then asks each again, the
/// newest first: that is known, no more are than fit, and the others are counted as `missed` says.
/// Which ones the kernel forgets is its choice: it goes by lists of each CPU.
fn open_and_ask(
    kernel: &mut Kernel,
    [opening, asking]: [&dyn Fn(u16) -> Frame; 2],
    [opened, missed, known]: [&Delta; 3],
) {
    for flow in 0..FLOWS {
        let packet = opening(flow);
        let counted = forwarded(kernel, &packet);
        assert_eq!(counted, opened.figures(packet.bytes().len()), "flow {flow}");
    }
    let mut known_count = 0;
    for flow in (0..FLOWS).rev() {
        let packet = asking(flow);
        let length = packet.bytes().len();
        let counted = forwarded(kernel, &packet);
        if counted == known.figures(length) {
            known_count += 1;
        } else {
            assert_eq!(counted, missed.figures(length), "flow {flow}");
        }
        assert!(known_count > 0, "the newest is not known");
    }
    assert!(known_count <= TABLE_ENTRIES, "{known_count} flows were known");
}

#[test]
fn a_tracked_flow_that_was_forgotten_is_a_miss() {
    let mut kernel = Kernel::load(&Shape::default()).unwrap();
    kernel.enter().unwrap();
    for f in FAMILIES {
        kernel.set(&moved_slot(f)).unwrap();
        let opened = Delta::forwarded(CURRENT.into()).event(Event::FlowOpened);
        let known = Delta::forwarded(CURRENT.into()).event(Event::TrackedHit);
        let missed = Delta::forwarded(PREVIOUS.into()).event(Event::MissPrevious);
        let opening = |flow| packet(f, flow).syn();
        open_and_ask(&mut kernel, [&opening, &|flow| packet(f, flow)], [&opened, &missed, &known]);
    }
}

#[test]
fn a_translated_flow_that_was_forgotten_is_opened_anew() {
    let shape = Shape { nat_ports: (1_024, 60_000), ..Shape::default() };
    let mut kernel = Kernel::load(&shape).unwrap();
    kernel.enter().unwrap();
    for f in FAMILIES {
        kernel.set(&State::one_backend(f, Mode::Nat)).unwrap();
        let opened = Delta::forwarded(1).event(Event::FlowOpened);
        let known = Delta::forwarded(1).event(Event::TrackedHit);
        let datagram = |flow| datagram(f, flow);
        open_and_ask(&mut kernel, [&datagram, &datagram], [&opened, &opened, &known]);
    }
}
