//! SCTP: balanced by its ports like TCP; translated with its checksum, whatever the packet's length.

mod fragments;

use lb_common::{
    abi::{BackendState, Mode, SLOT_MOVED},
    packet::sctp::{ABORT, INIT, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame,
    NAT_PORT, Output, ROUTER_MAC, Row, State, Stored, V4, V6, VIP_PORT, Verdict, backend_mac, ip,
    miss_flow, nat_flow, nat_reply, run, syn_flow,
};

const DATA: u8 = 0;
const INIT_ACK: u8 = 2;
const HEARTBEAT: u8 = 4;
const COOKIE_ECHO: u8 = 10;
const TARGET_PORT: u16 = 36_412;

fn flow(family: Family) -> Flow {
    Flow::sctp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn to_vip(family: Family, chunk: u8) -> Frame {
    ip(family.client(), family.vip()).sctp(CLIENT_PORT, VIP_PORT, chunk)
}

/// What backend 1 gets, by modes that leave the packet alone.
fn delivered(frame: Frame, family: Family, mode: Mode) -> Frame {
    let frame = frame.macs(EGRESS_MAC, backend_mac(1));
    match mode {
        Mode::Tunnel => frame.inside(family.outer(1)),
        _ => frame,
    }
}

#[test]
fn packets_travel_as_they_are_where_nothing_is_translated() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in [Mode::L2Dsr, Mode::Tunnel] {
            for (what, input) in [
                ("an INIT", to_vip(f, INIT).payload([0; 16])),
                ("a COOKIE ECHO", to_vip(f, COOKIE_ECHO).payload([7; 200])),
                ("data of odd length", to_vip(f, DATA).payload([1; 333])),
                ("a HEARTBEAT in a VLAN", to_vip(f, HEARTBEAT).tag(0x8100, 9)),
                ("an ABORT", to_vip(f, ABORT)),
                ("a wrong checksum", to_vip(f, DATA).sctp_checksum(0xdead_beef)),
            ] {
                let text = format!("{} {}: {what}", f.name(), mode.name());
                let output = delivered(input.clone(), f, mode);
                rows.push(Row::new(text, State::one_backend(f, mode)).redirects(
                    input,
                    output,
                    Delta::forwarded(1),
                ));
            }
        }
        let input = ip(f.client(), f.vip()).sctp(CLIENT_PORT, 2_905, INIT);
        rows.push(
            Row::new(
                format!("{}: any port", f.name()),
                State::one_backend(f, Mode::L2Dsr).all_ports(),
            )
            .redirects(
                input.clone(),
                input.macs(EGRESS_MAC, backend_mac(1)),
                Delta::forwarded(1),
            ),
        );
        let short = ip(f.client(), f.vip()).protocol(132);
        let header = [CLIENT_PORT.to_be_bytes(), VIP_PORT.to_be_bytes()].concat();
        rows.push(
            Row::new(
                format!("{}: a header without a chunk", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .drops(
                short.payload([header, vec![0; 8]].concat()),
                Delta::outcome(Outcome::DropTruncated),
            ),
        );
    }
    run(&rows);
}

fn service(family: Family, mode: Mode) -> State {
    State::one_backend(family, mode).change(1, |backend| backend.port = TARGET_PORT.to_be())
}

/// The client, as the backend sees it.
fn seen(family: Family, mode: Mode) -> (std::net::IpAddr, u16) {
    match mode {
        Mode::Nat => (family.router(), NAT_PORT),
        _ => (family.client(), CLIENT_PORT),
    }
}

fn to_backend(family: Family, mode: Mode, chunk: u8) -> Frame {
    let (source, port) = seen(family, mode);
    ip(source, family.backend(1))
        .sctp(port, TARGET_PORT, chunk)
        .macs(EGRESS_MAC, backend_mac(1))
        .hop_limit(62)
}

fn from_backend(family: Family, mode: Mode, chunk: u8) -> Frame {
    let (client, port) = seen(family, mode);
    ip(family.backend(1), client).sctp(TARGET_PORT, port, chunk).macs(backend_mac(1), EGRESS_MAC)
}

fn to_client(family: Family, chunk: u8) -> Frame {
    ip(family.vip(), family.client())
        .sctp(VIP_PORT, CLIENT_PORT, chunk)
        .macs(ROUTER_MAC, CLIENT_MAC)
        .hop_limit(62)
}

fn records(family: Family, mode: Mode) -> [Stored; 2] {
    let source = seen(family, mode);
    let reply = Flow::sctp((family.backend(1), TARGET_PORT), source);
    [nat_flow(flow(family), 1, source), nat_reply(reply, 1, flow(family))]
}

fn opened(family: Family, mode: Mode) -> State {
    let [forward, reverse] = records(family, mode);
    service(family, mode).with(forward).with(reverse)
}

fn translating() -> impl Iterator<Item = (Family, Mode, String)> {
    FAMILIES.into_iter().flat_map(|f| {
        [Mode::Nat, Mode::Dnat].map(|mode| (f, mode, format!("{} {}", f.name(), mode.name())))
    })
}

#[test]
fn an_association_is_translated_with_its_checksum() {
    let mut rows = Vec::new();
    for (f, mode, name) in translating() {
        let [forward, reverse] = records(f, mode);
        let hit = || Delta::forwarded(1).event(Event::TrackedHit);
        rows.push(
            Row::new(format!("{name}: INIT, its answer, a COOKIE ECHO"), service(f, mode))
                .redirects(
                    to_vip(f, INIT).payload([0; 16]),
                    to_backend(f, mode, INIT).payload([0; 16]),
                    Delta::forwarded(1).event(Event::FlowOpened),
                )
                .stores(forward.clone())
                .stores(reverse.clone())
                .redirects(
                    from_backend(f, mode, INIT_ACK).payload([9; 300]),
                    to_client(f, INIT_ACK).payload([9; 300]),
                    Delta::replied(1),
                )
                .arrives_at(BACKEND_SIDE)
                .redirects(
                    to_vip(f, COOKIE_ECHO).payload([8; 284]),
                    to_backend(f, mode, COOKIE_ECHO).payload([8; 284]),
                    hit(),
                ),
        );
        rows.push(
            Row::new(format!("{name}: data of an unknown association breaks"), service(f, mode))
                .redirects(
                    to_vip(f, DATA),
                    to_backend(f, mode, DATA),
                    Delta::forwarded(1).event(Event::MissCurrent),
                )
                .stores(forward.clone())
                .stores(reverse.clone()),
        );
        let full = 1_500 - f.header_bytes() - 16;
        for bytes in [0, 1, 2, 3, 4, 31, 239, 240, 241, 255, 256, 257, 496, 1_000, 1_400, full] {
            let payload: Vec<u8> = (0..bytes).map(|at| (at * 7 + 3) as u8).collect();
            rows.push(
                Row::new(format!("{name}: {bytes} bytes of data there and back"), opened(f, mode))
                    .redirects(
                        to_vip(f, DATA).payload(&payload),
                        to_backend(f, mode, DATA).payload(&payload),
                        hit(),
                    )
                    .redirects(
                        from_backend(f, mode, DATA).payload(&payload),
                        to_client(f, DATA).payload(&payload),
                        Delta::replied(1),
                    )
                    .arrives_at(BACKEND_SIDE),
            );
        }
    }
    run(&rows);
}

#[test]
fn its_end_is_noted_and_a_checksum_of_zero_stays() {
    let mut rows = Vec::new();
    for (f, mode, name) in translating() {
        let [forward, _] = records(f, mode);
        let hit = || Delta::forwarded(1).event(Event::TrackedHit);
        for (what, chunk) in [
            ("ABORT", ABORT),
            ("SHUTDOWN", SHUTDOWN),
            ("SHUTDOWN ACK", SHUTDOWN_ACK),
            ("SHUTDOWN COMPLETE", SHUTDOWN_COMPLETE),
        ] {
            rows.push(
                Row::new(format!("{name}: {what} marks it closing"), opened(f, mode))
                    .redirects(to_vip(f, chunk), to_backend(f, mode, chunk), hit())
                    .forgets(forward.clone())
                    .stores(forward.clone().closing()),
            );
        }
        rows.push(
            Row::new(format!("{name}: a checksum of zero is none"), opened(f, mode)).redirects(
                to_vip(f, DATA).sctp_checksum(0),
                to_backend(f, mode, DATA).sctp_checksum(0),
                hit(),
            ),
        );
    }
    run(&rows);
}

/// Source ranges are a detour before the translation, the checksum one after it.
#[test]
fn source_ranges_are_asked_before_it_is_translated() {
    let mut rows = Vec::new();
    for (f, mode, name) in translating() {
        let limited = |address| {
            let bits = if f == V4 { 32 } else { 128 };
            opened(f, mode).sources(&[(address, bits)])
        };
        let refused = Delta::outcome(Outcome::DropSourceRefused).event(Event::SourceRefused);
        rows.push(Row::new(format!("{name}: a client in a range"), limited(f.client())).redirects(
            to_vip(f, DATA).payload([6; 50]),
            to_backend(f, mode, DATA).payload([6; 50]),
            Delta::forwarded(1).event(Event::TrackedHit),
        ));
        rows.push(
            Row::new(format!("{name}: another"), limited(f.stranger()))
                .drops(to_vip(f, DATA), refused),
        );
    }
    run(&rows);
}

#[test]
fn a_reply_that_the_host_forwards_is_whole() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let afar = Flow::sctp((f.stranger(), CLIENT_PORT), (f.vip(), VIP_PORT));
        let source = (f.router(), NAT_PORT);
        let reply = Flow::sctp((f.backend(1), TARGET_PORT), source);
        let state =
            service(f, Mode::Nat).with(nat_flow(afar, 1, source)).with(nat_reply(reply, 1, afar));
        let output = ip(f.vip(), f.stranger())
            .sctp(VIP_PORT, CLIENT_PORT, DATA)
            .macs(backend_mac(1), EGRESS_MAC)
            .hop_limit(62);
        rows.push(
            Row::new(f.name(), state)
                .step(
                    from_backend(f, Mode::Nat, DATA),
                    Verdict::Pass,
                    Output::Frame(Box::new(output)),
                    Delta::outcome(Outcome::PassNoNeighbour),
                )
                .arrives_at(BACKEND_SIDE),
        );
    }
    run(&rows);
}

#[test]
fn extensions_options_and_tags_do_not_count_for_the_checksum() {
    let mut rows = Vec::new();
    for (f, mode, name) in translating() {
        let change = |frame: Frame| {
            let frame = frame.tag(0x88a8, 7).tag(0x8100, 9).payload([5; 77]).trailer(&[0xff; 9]);
            match f {
                V4 => frame.options(&[1; 8]),
                V6 => frame.extension(60, &[1, 4, 0, 0, 0, 0]),
            }
        };
        rows.push(Row::new(name, opened(f, mode)).redirects(
            change(to_vip(f, DATA)),
            change(to_backend(f, mode, DATA)),
            Delta::forwarded(1).event(Event::TrackedHit),
        ));
    }
    run(&rows);
}

#[test]
fn in_a_moved_slot_associations_stay_like_connections() {
    let mut rows = Vec::new();
    let mode = Mode::L2Dsr;
    for f in FAMILIES {
        let moved = || {
            State::service(f, mode)
                .backend(1, f, mode)
                .backend(2, f, mode)
                .ring(0, &[1 | SLOT_MOVED])
                .previous(0, &[2])
        };
        let to = |frame: Frame, backend: u8| frame.macs(EGRESS_MAC, backend_mac(backend));
        let name = f.name();
        rows.extend([
            Row::new(format!("{name}: an INIT goes to the current backend"), moved())
                .redirects(
                    to_vip(f, INIT),
                    to(to_vip(f, INIT), 1),
                    Delta::forwarded(1).event(Event::FlowOpened),
                )
                .stores(syn_flow(flow(f), 1)),
            Row::new(format!("{name}: anything else to the previous one"), moved())
                .redirects(
                    to_vip(f, DATA),
                    to(to_vip(f, DATA), 2),
                    Delta::forwarded(2).event(Event::MissPrevious),
                )
                .stores(miss_flow(flow(f), 2)),
            Row::new(
                format!("{name}: a known one stays"),
                moved().with(syn_flow(flow(f), 2)).life(2, BackendState::Draining),
            )
            .redirects(
                to_vip(f, HEARTBEAT),
                to(to_vip(f, HEARTBEAT), 2),
                Delta::forwarded(2).event(Event::TrackedHit),
            ),
        ]);
    }
    run(&rows);
}

#[test]
fn errors_reach_the_backend_of_the_association() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let sent = ip(f.vip(), f.client()).sctp(VIP_PORT, CLIENT_PORT, DATA).payload([5; 99]);
        let quote: Vec<u8> = sent.packet().into_iter().take(f.header_bytes() + 8).collect();
        let (kind, code) = if f == V4 { (3, 4) } else { (2, 0) };
        let error = ip(f.stranger(), f.vip()).icmp(kind, code, 1_400).payload(quote);
        for mode in [Mode::L2Dsr, Mode::Tunnel] {
            rows.push(
                Row::new(format!("{} {}", f.name(), mode.name()), State::one_backend(f, mode))
                    .redirects(
                        error.clone(),
                        delivered(error.clone(), f, mode),
                        Delta::forwarded(1).event(Event::IcmpRouted),
                    ),
            );
        }
    }
    run(&rows);
}
