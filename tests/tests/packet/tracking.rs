//! Just-enough tracking: flows are looked up and stored only in slots that moved.

use lb_common::{
    abi::{BackendState, Mode, SLOT_MOVED, VIP_FLAG_AFFINITY, VIP_FLAG_UDP_STICKS},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame, Row, State, VIP_PORT,
    backend_mac, ip, miss_flow, run, syn_flow,
};

const MODE: Mode = Mode::L2Dsr;
/// The ring says 1, then moved to 2.
pub(super) const CURRENT: u8 = 2;
pub(super) const PREVIOUS: u8 = 1;

fn flow(family: Family) -> Flow {
    Flow::tcp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn udp_flow(family: Family) -> Flow {
    Flow::udp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn packet(family: Family) -> Frame {
    ip(family.client(), family.vip()).tcp(CLIENT_PORT, VIP_PORT)
}

fn datagram(family: Family) -> Frame {
    ip(family.client(), family.vip()).udp(CLIENT_PORT, VIP_PORT)
}

/// A service whose slot moved from backend 1 to backend 2; backend 3 is in no ring.
pub(super) fn moved(family: Family) -> State {
    State::service(family, MODE)
        .backend(PREVIOUS, family, MODE)
        .backend(CURRENT, family, MODE)
        .backend(3, family, MODE)
        .ring(0, &[u32::from(CURRENT) | SLOT_MOVED])
        .previous(0, &[PREVIOUS.into()])
}

fn goes_to(row: Row, input: Frame, backend: u8, event: Option<Event>) -> Row {
    let output = input.clone().macs(EGRESS_MAC, backend_mac(backend));
    let delta = Delta::forwarded(backend.into());
    row.redirects(
        input,
        output,
        event.map_or_else(|| delta.clone(), |event| delta.clone().event(event)),
    )
}

#[test]
fn an_unmoved_slot_neither_looks_up_nor_stores() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        // A record of backend 3 is there, and must not be looked at.
        let state = || {
            moved(f)
                .ring(0, &[CURRENT.into()])
                .with(syn_flow(flow(f), 3))
                .with(miss_flow(flow(f), 3))
                .with(miss_flow(udp_flow(f), 3))
        };
        for (what, input) in [
            ("a SYN", packet(f).syn()),
            ("data", packet(f)),
            ("a FIN", packet(f).fin()),
            ("UDP", datagram(f)),
        ] {
            let row = Row::new(format!("{}: {what} goes by the ring alone", f.name()), state());
            rows.push(goes_to(row, input, CURRENT, None));
        }
    }
    run(&rows);
}

#[test]
fn in_a_moved_slot_new_flows_go_to_the_current_backend_and_are_stored() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let opened = Some(Event::FlowOpened);
        let row = |what: &str, state| Row::new(format!("{name}: {what}"), state);
        rows.push(
            goes_to(row("a SYN", moved(f)), packet(f).syn(), CURRENT, opened)
                .stores(syn_flow(flow(f), CURRENT.into())),
        );
        rows.push(
            goes_to(
                row("a SYN over an old record of its ports", moved(f).with(syn_flow(flow(f), 3))),
                packet(f).syn(),
                CURRENT,
                opened,
            )
            .forgets(syn_flow(flow(f), 3))
            .stores(syn_flow(flow(f), CURRENT.into())),
        );
        let reused = goes_to(
            row(
                "a SYN that reuses the ports of a flow stored by a miss: the next packet follows it",
                moved(f).with(miss_flow(flow(f), PREVIOUS.into())),
            ),
            packet(f).syn(),
            CURRENT,
            opened,
        )
        .stores(syn_flow(flow(f), CURRENT.into()));
        rows.push(goes_to(reused, packet(f), CURRENT, Some(Event::TrackedHit)));
        let follows = goes_to(
            row("the packets after a SYN follow it, to another ring too", moved(f)),
            packet(f).syn(),
            CURRENT,
            opened,
        )
        .stores(syn_flow(flow(f), CURRENT.into()));
        rows.push(goes_to(follows, packet(f).payload(b"x"), CURRENT, Some(Event::TrackedHit)));
    }
    run(&rows);
}

#[test]
fn in_a_moved_slot_known_flows_stay() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let hit = Some(Event::TrackedHit);
        let row = |what: &str, state| Row::new(format!("{name}: {what}"), state);
        let (opened, missed) = (syn_flow(flow(f), 3), miss_flow(flow(f), 3));
        rows.extend([
            goes_to(row("stored by a SYN", moved(f).with(opened.clone())), packet(f), 3, hit),
            goes_to(row("stored by a miss", moved(f).with(missed.clone())), packet(f), 3, hit),
            goes_to(
                row(
                    "its backend drains",
                    moved(f).with(opened.clone()).life(3, BackendState::Draining),
                ),
                packet(f),
                3,
                hit,
            ),
            goes_to(
                row("a SYN-ACK does not open", moved(f).with(opened.clone())),
                packet(f).syn_ack(),
                3,
                hit,
            ),
            goes_to(
                row("a FIN marks it closing", moved(f).with(opened.clone())),
                packet(f).fin(),
                3,
                hit,
            )
            .forgets(opened.clone())
            .stores(opened.clone().closing()),
            goes_to(
                row("a RST marks it closing", moved(f).with(missed.clone())),
                packet(f).rst(),
                3,
                hit,
            )
            .forgets(missed.clone())
            .stores(missed.clone().closing()),
        ]);
    }
    run(&rows);
}

#[test]
fn in_a_moved_slot_unknown_flows_go_to_the_previous_backend_and_are_stored() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let missed = Some(Event::MissPrevious);
        let row = |what: &str, state| Row::new(format!("{name}: {what}"), state);
        let stored = miss_flow(flow(f), PREVIOUS.into());
        rows.extend([
            goes_to(row("data", moved(f)), packet(f), PREVIOUS, missed).stores(stored.clone()),
            goes_to(row("a RST", moved(f)), packet(f).rst(), PREVIOUS, missed)
                .stores(stored.clone()),
            goes_to(
                row("the previous drains", moved(f).life(PREVIOUS.into(), BackendState::Draining)),
                packet(f),
                PREVIOUS,
                missed,
            )
            .stores(stored.clone()),
            goes_to(
                row(
                    "its record is of a dead backend",
                    moved(f).with(syn_flow(flow(f), 3)).life(3, BackendState::Down),
                ),
                packet(f),
                PREVIOUS,
                missed,
            )
            .stores(stored.clone()),
            goes_to(
                row(
                    "its record is of an earlier occupant of the index",
                    moved(f).with(syn_flow(flow(f), 3)).change(3, |b| b.id.0 |= 7 << 17),
                ),
                packet(f),
                PREVIOUS,
                missed,
            )
            .stores(stored.clone()),
        ]);
        let twice =
            goes_to(row("and is tracked from then on", moved(f)), packet(f), PREVIOUS, missed)
                .stores(stored);
        rows.push(goes_to(twice, packet(f), PREVIOUS, Some(Event::TrackedHit)));
    }
    run(&rows);
}

#[test]
fn without_a_living_previous_backend_the_current_one_decides_and_it_is_counted() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let missed = Some(Event::MissCurrent);
        for (what, state) in [
            ("no previous", moved(f).previous(0, &[0])),
            ("the previous is down", moved(f).life(PREVIOUS.into(), BackendState::Down)),
            ("the previous is freed", moved(f).life(PREVIOUS.into(), BackendState::Free)),
        ] {
            let row = Row::new(format!("{}: {what}", f.name()), state);
            rows.push(goes_to(row, packet(f), CURRENT, missed));
        }
        for (what, state) in [
            ("the current is down too", moved(f).life(CURRENT.into(), BackendState::Down)),
            ("there is no current either", moved(f).ring(0, &[SLOT_MOVED])),
        ] {
            rows.push(
                Row::new(format!("{}: no previous, and {what}", f.name()), state.previous(0, &[0]))
                    .drops(packet(f), Delta::outcome(Outcome::DropNoBackend)),
            );
        }
        let alone = moved(f).ring(0, &[SLOT_MOVED]);
        rows.push(
            Row::new(format!("{}: a SYN without a current backend", f.name()), alone)
                .drops(packet(f).syn(), Delta::outcome(Outcome::DropNoBackend)),
        );
    }
    run(&rows);
}

#[test]
fn udp_sticks_only_if_the_service_says_so() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let sticks = || moved(f).vip_flags(VIP_FLAG_UDP_STICKS);
        let row = |what: &str, state| Row::new(format!("{name}: {what}"), state);
        rows.extend([
            goes_to(row("UDP migrates by default", moved(f)), datagram(f), CURRENT, None),
            goes_to(
                row("UDP that migrates ignores records", moved(f).with(miss_flow(udp_flow(f), 3))),
                datagram(f),
                CURRENT,
                None,
            ),
            goes_to(
                row("UDP that sticks goes to the previous", sticks()),
                datagram(f),
                PREVIOUS,
                Some(Event::MissPrevious),
            )
            .stores(miss_flow(udp_flow(f), PREVIOUS.into())),
            goes_to(
                row("UDP that sticks follows its record", sticks().with(miss_flow(udp_flow(f), 3))),
                datagram(f),
                3,
                Some(Event::TrackedHit),
            ),
            goes_to(
                row("UDP that sticks, without a previous", sticks().previous(0, &[0])),
                datagram(f),
                CURRENT,
                Some(Event::MissCurrent),
            ),
        ]);
    }
    run(&rows);
}

#[test]
fn an_affinity_client_keeps_its_backend_across_a_move() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let affine = || moved(f).vip_flags(VIP_FLAG_AFFINITY);
        let client = Flow::tcp((f.client(), 0), (f.vip(), 0));
        let row = |what: &str, state| Row::new(format!("{name}: {what}"), state);
        rows.extend([
            goes_to(
                row("an unknown client's SYN is remembered", affine()),
                packet(f).syn(),
                CURRENT,
                Some(Event::FlowOpened),
            )
            .stores(syn_flow(flow(f), CURRENT.into()))
            .stores(syn_flow(client, CURRENT.into())),
            goes_to(
                row(
                    "a known client's SYN goes where its flows are",
                    affine().with(syn_flow(client, 3)),
                ),
                packet(f).syn(),
                3,
                Some(Event::FlowOpened),
            )
            .stores(syn_flow(flow(f), 3)),
            goes_to(
                row(
                    "a known client of a draining backend starts anew",
                    affine().with(syn_flow(client, 3)).life(3, BackendState::Draining),
                ),
                packet(f).syn(),
                CURRENT,
                Some(Event::FlowOpened),
            )
            .forgets(syn_flow(client, 3))
            .stores(syn_flow(flow(f), CURRENT.into()))
            .stores(syn_flow(client, CURRENT.into())),
            goes_to(
                row("data of an old flow teaches where the client is", affine()),
                packet(f),
                PREVIOUS,
                Some(Event::MissPrevious),
            )
            .stores(miss_flow(flow(f), PREVIOUS.into()))
            .stores(syn_flow(client, PREVIOUS.into())),
            goes_to(
                row(
                    "in an unmoved slot nothing is remembered",
                    affine().ring(0, &[CURRENT.into()]),
                ),
                packet(f).syn(),
                CURRENT,
                None,
            ),
        ]);
    }
    run(&rows);
}
