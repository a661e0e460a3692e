//! Full flow tables: what was used least recently is forgotten, and is a miss when it comes again;
//! no flow is refused.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use lb_common::{
    abi::{Mode, SLOT_MOVED},
    verdict::Event,
};
use lb_tests::packet::{
    CLIENT_SIDE, Counters, Delta, FAMILIES, Family, Frame, Kernel, Machine as _, Shape, State,
    TABLE_ENTRIES, VIP_PORT, Verdict, ip, moved,
};

/// The ring says 1, then moved to 2.
const CURRENT: u8 = 2;
const PREVIOUS: u8 = 1;
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

/// Opens all flows, and asserts that each is counted as `delta` says.
fn open_all(kernel: &mut Kernel, opening: impl Fn(u16) -> Frame, delta: &Delta) {
    for flow in 0..FLOWS {
        let packet = opening(flow);
        let counted = forwarded(kernel, &packet);
        assert_eq!(counted, delta.figures(packet.bytes().len()), "flow {flow}");
    }
}

#[test]
fn a_tracked_flow_that_was_forgotten_is_a_miss() {
    let mut kernel = Kernel::load(&Shape::default()).unwrap();
    kernel.enter().unwrap();
    for f in FAMILIES {
        let state = State::service(f, Mode::L2Dsr)
            .backend(PREVIOUS, f, Mode::L2Dsr)
            .backend(CURRENT, f, Mode::L2Dsr)
            .ring(0, &[u32::from(CURRENT) | SLOT_MOVED])
            .previous(0, &[PREVIOUS.into()]);
        kernel.set(&state).unwrap();
        let opened = Delta::forwarded(CURRENT.into()).event(Event::FlowOpened);
        open_all(&mut kernel, |flow| packet(f, flow).syn(), &opened);
        let stored = kernel.stored().unwrap().len();
        assert!(stored > 0 && stored <= TABLE_ENTRIES as usize, "{stored} flows are stored");

        let length = packet(f, 0).bytes().len();
        let hit = Delta::forwarded(CURRENT.into()).event(Event::TrackedHit).figures(length);
        assert_eq!(forwarded(&mut kernel, &packet(f, FLOWS - 1)), hit, "the newest is known");
        let miss = Delta::forwarded(PREVIOUS.into()).event(Event::MissPrevious).figures(length);
        assert_eq!(forwarded(&mut kernel, &packet(f, 0)), miss, "the oldest is not");
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
        open_all(&mut kernel, |flow| datagram(f, flow), &opened);

        let length = datagram(f, 0).bytes().len();
        let hit = Delta::forwarded(1).event(Event::TrackedHit).figures(length);
        assert_eq!(forwarded(&mut kernel, &datagram(f, FLOWS - 1)), hit, "the newest is known");
        let anew = opened.figures(length);
        assert_eq!(forwarded(&mut kernel, &datagram(f, 0)), anew, "the oldest is not");
    }
}
