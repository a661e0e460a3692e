//! Full NAT: addresses and ports of both sides are translated, replies return the same way. The
//! stage leaves one source port to take, so a table says exactly which it is.

use lb_common::{
    abi::{BackendState, Mode},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame,
    NAT_PORT, ROUTER_MAC, Row, State, Stored, V4, VIP_PORT, backend_mac, ip, nat_flow, nat_reply,
    run,
};

mod leaving;

const MODE: Mode = Mode::Nat;
const TARGET_PORT: u16 = 8_080;

fn service(family: Family) -> State {
    State::one_backend(family, MODE).change(1, |backend| backend.port = TARGET_PORT.to_be())
}

/// From the client to the VIP, as it comes in.
fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

/// The same on its way to backend 1: `.tcp(NAT_PORT, TARGET_PORT)` follows.
fn to_backend(family: Family) -> Frame {
    ip(family.router(), family.backend(1)).macs(EGRESS_MAC, backend_mac(1)).hop_limit(62)
}

/// A reply of backend 1 as it comes in.
fn from_backend(family: Family) -> Frame {
    ip(family.backend(1), family.router()).macs(backend_mac(1), EGRESS_MAC)
}

/// The same on its way to the client.
fn to_client(family: Family) -> Frame {
    ip(family.vip(), family.client()).macs(ROUTER_MAC, CLIENT_MAC).hop_limit(62)
}

fn tcp(family: Family) -> Flow {
    Flow::tcp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn udp(family: Family) -> Flow {
    Flow::udp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

/// Both records of a client's flow towards backend 1.
fn records(family: Family, flow: Flow) -> [Stored; 2] {
    let source = (family.router(), NAT_PORT);
    let target = (family.backend(1), TARGET_PORT);
    let reply = Flow { source: target.into(), destination: source.into(), ..flow };
    [nat_flow(flow, 1, source), nat_reply(reply, 1, flow)]
}

/// The state in which `flow` is open.
fn opened(family: Family, flow: Flow) -> State {
    let [forward, reverse] = records(family, flow);
    service(family).with(forward).with(reverse)
}

fn opens(row: Row, family: Family, flow: Flow, input: Frame, output: Frame) -> Row {
    let [forward, reverse] = records(family, flow);
    row.redirects(input, output, Delta::forwarded(1).event(Event::FlowOpened))
        .stores(forward)
        .stores(reverse)
}

#[test]
fn the_first_packet_opens_a_flow_in_both_directions() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let row = |what: &str| Row::new(format!("{}: {what}", f.name()), service(f));
        let (from_tcp, to_tcp) = (
            to_vip(f).tcp(CLIENT_PORT, VIP_PORT).syn(),
            to_backend(f).tcp(NAT_PORT, TARGET_PORT).syn(),
        );
        let (from_udp, to_udp) =
            (to_vip(f).udp(CLIENT_PORT, VIP_PORT), to_backend(f).udp(NAT_PORT, TARGET_PORT));
        rows.extend([
            opens(row("a TCP SYN"), f, tcp(f), from_tcp.clone(), to_tcp.clone()),
            opens(
                row("a TCP SYN with data"),
                f,
                tcp(f),
                from_tcp.clone().payload(b"fast open"),
                to_tcp.clone().payload(b"fast open"),
            ),
            opens(
                row("a SYN in a VLAN keeps its tag"),
                f,
                tcp(f),
                from_tcp.clone().tag(0x8100, 0x2007),
                to_tcp.clone().tag(0x8100, 0x2007),
            ),
            opens(
                row("the traffic class and flow label stay"),
                f,
                tcp(f),
                from_tcp.traffic_class(0x48).flow_label(0x1_2345),
                to_tcp.traffic_class(0x48).flow_label(0x1_2345),
            ),
            opens(row("an empty UDP datagram"), f, udp(f), from_udp.clone(), to_udp.clone()),
            opens(
                row("a UDP datagram of odd length"),
                f,
                udp(f),
                from_udp.payload([1; 333]),
                to_udp.payload([1; 333]),
            ),
            row("TCP data of an unknown flow goes by the ring: a connection about to break")
                .redirects(
                    to_vip(f).tcp(CLIENT_PORT, VIP_PORT).payload(b"?"),
                    to_backend(f).tcp(NAT_PORT, TARGET_PORT).payload(b"?"),
                    Delta::forwarded(1).event(Event::MissCurrent),
                )
                .stores(records(f, tcp(f))[0].clone())
                .stores(records(f, tcp(f))[1].clone()),
        ]);
    }
    run(&rows);
}

#[test]
fn later_packets_reuse_the_flow() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let hit = || Delta::forwarded(1).event(Event::TrackedHit);
        for (what, input, output) in [
            ("data", to_vip(f).payload([3; 700]), to_backend(f).payload([3; 700])),
            ("an empty ACK", to_vip(f), to_backend(f)),
        ] {
            let (input, output) =
                (input.tcp(CLIENT_PORT, VIP_PORT), output.tcp(NAT_PORT, TARGET_PORT));
            rows.push(
                Row::new(format!("{}: TCP {what} of an open flow", f.name()), opened(f, tcp(f)))
                    .redirects(input, output, hit()),
            );
        }
        rows.push(
            Row::new(format!("{}: UDP of an open flow", f.name()), opened(f, udp(f))).redirects(
                to_vip(f).udp(CLIENT_PORT, VIP_PORT).payload(b"again"),
                to_backend(f).udp(NAT_PORT, TARGET_PORT).payload(b"again"),
                hit(),
            ),
        );
        let [forward, _] = records(f, tcp(f));
        for (what, flags) in [("FIN", 0x11), ("RST", 0x04)] {
            rows.push(
                Row::new(format!("{}: {what} marks the flow closing", f.name()), opened(f, tcp(f)))
                    .redirects(
                        to_vip(f).tcp(CLIENT_PORT, VIP_PORT).flags(flags),
                        to_backend(f).tcp(NAT_PORT, TARGET_PORT).flags(flags),
                        hit(),
                    )
                    .forgets(forward.clone())
                    .stores(forward.clone().closing()),
            );
        }
        rows.push(
            Row::new(
                format!("{}: an open flow stays at a draining backend", f.name()),
                opened(f, tcp(f)).life(1, BackendState::Draining),
            )
            .redirects(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT),
                to_backend(f).tcp(NAT_PORT, TARGET_PORT),
                hit(),
            ),
        );
        rows.push(
            Row::new(
                format!("{}: an open flow stays though the ring says another backend", f.name()),
                opened(f, tcp(f)).backend(2, f, MODE).ring(0, &[2]),
            )
            .redirects(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT),
                to_backend(f).tcp(NAT_PORT, TARGET_PORT),
                hit(),
            ),
        );
    }
    run(&rows);
}

#[test]
fn a_flow_keeps_its_port_when_only_its_forward_record_was_evicted() {
    let rows = FAMILIES.map(|f| {
        let [forward, reverse] = records(f, tcp(f));
        Row::new(format!("{}: the forward record is rebuilt", f.name()), service(f).with(reverse))
            .redirects(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT),
                to_backend(f).tcp(NAT_PORT, TARGET_PORT),
                Delta::forwarded(1).event(Event::MissCurrent),
            )
            .stores(forward)
    });
    run(&rows);
}

#[test]
fn replies_are_translated_back() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let reply = || Delta::replied(1);
        let row = |what: &str, flow| Row::new(format!("{}: {what}", f.name()), opened(f, flow));
        let back = |from: Frame, to: Frame, row: Row| {
            row.redirects(from, to, reply()).arrives_at(BACKEND_SIDE)
        };
        rows.extend([
            back(
                from_backend(f).tcp(TARGET_PORT, NAT_PORT).syn_ack(),
                to_client(f).tcp(VIP_PORT, CLIENT_PORT).syn_ack(),
                row("SYN-ACK", tcp(f)),
            ),
            back(
                from_backend(f).tcp(TARGET_PORT, NAT_PORT).payload([8; 1000]),
                to_client(f).tcp(VIP_PORT, CLIENT_PORT).payload([8; 1000]),
                row("TCP data", tcp(f)),
            ),
            back(
                from_backend(f).udp(TARGET_PORT, NAT_PORT).payload(b"answer"),
                to_client(f).udp(VIP_PORT, CLIENT_PORT).payload(b"answer"),
                row("a UDP answer", udp(f)),
            ),
        ]);
        let [_, reverse] = records(f, tcp(f));
        rows.push(
            back(
                from_backend(f).tcp(TARGET_PORT, NAT_PORT).fin(),
                to_client(f).tcp(VIP_PORT, CLIENT_PORT).fin(),
                row("a FIN of the backend marks the way back closing", tcp(f)),
            )
            .forgets(reverse.clone())
            .stores(reverse.closing()),
        );
        rows.push(
            row("from another port of the backend: not ours, passes", tcp(f))
                .passes(
                    from_backend(f).tcp(TARGET_PORT + 1, NAT_PORT),
                    Delta::outcome(Outcome::PassNotVip),
                )
                .arrives_at(BACKEND_SIDE),
        );
        rows.push(
            row("UDP where the flow is TCP: not ours, passes", tcp(f))
                .passes(
                    from_backend(f).udp(TARGET_PORT, NAT_PORT),
                    Delta::outcome(Outcome::PassNotVip),
                )
                .arrives_at(BACKEND_SIDE),
        );
    }
    run(&rows);
}

#[test]
fn a_whole_conversation() {
    let rows = FAMILIES.map(|f| {
        let [forward, reverse] = records(f, tcp(f));
        let hit = || Delta::forwarded(1).event(Event::TrackedHit);
        let row = Row::new(format!("{}: SYN, SYN-ACK, data, FIN, FIN", f.name()), service(f));
        opens(
            row,
            f,
            tcp(f),
            to_vip(f).tcp(CLIENT_PORT, VIP_PORT).syn(),
            to_backend(f).tcp(NAT_PORT, TARGET_PORT).syn(),
        )
        .redirects(
            from_backend(f).tcp(TARGET_PORT, NAT_PORT).syn_ack(),
            to_client(f).tcp(VIP_PORT, CLIENT_PORT).syn_ack(),
            Delta::replied(1),
        )
        .arrives_at(BACKEND_SIDE)
        .redirects(
            to_vip(f).tcp(CLIENT_PORT, VIP_PORT).payload(b"GET /"),
            to_backend(f).tcp(NAT_PORT, TARGET_PORT).payload(b"GET /"),
            hit(),
        )
        .redirects(
            to_vip(f).tcp(CLIENT_PORT, VIP_PORT).fin(),
            to_backend(f).tcp(NAT_PORT, TARGET_PORT).fin(),
            hit(),
        )
        .forgets(forward.clone())
        .stores(forward.closing())
        .redirects(
            from_backend(f).tcp(TARGET_PORT, NAT_PORT).fin(),
            to_client(f).tcp(VIP_PORT, CLIENT_PORT).fin(),
            Delta::replied(1),
        )
        .arrives_at(BACKEND_SIDE)
        .forgets(reverse.clone())
        .stores(reverse.closing())
    });
    run(&rows);
}

#[test]
fn udp_checksums_of_zero() {
    let flow = udp(V4);
    // The payload that makes the translated datagram's checksum compute to zero, which is sent as
    // all ones: the two bytes that are the checksum of the rest.
    let zero = |frame: &dyn Fn() -> Frame, link_bytes: usize| {
        let bytes = frame().payload([0, 0]).bytes();
        [bytes[link_bytes + 6], bytes[link_bytes + 7]]
    };
    let mut rows = vec![
        Row::new("IPv4: no UDP checksum stays none", opened(V4, flow)).redirects(
            to_vip(V4).udp(CLIENT_PORT, VIP_PORT).payload(b"bare").udp_checksum(0),
            to_backend(V4).udp(NAT_PORT, TARGET_PORT).payload(b"bare").udp_checksum(0),
            Delta::forwarded(1).event(Event::TrackedHit),
        ),
        Row::new("IPv4: no UDP checksum in a reply stays none", opened(V4, flow))
            .redirects(
                from_backend(V4).udp(TARGET_PORT, NAT_PORT).payload(b"bare").udp_checksum(0),
                to_client(V4).udp(VIP_PORT, CLIENT_PORT).payload(b"bare").udp_checksum(0),
                Delta::replied(1),
            )
            .arrives_at(BACKEND_SIDE),
    ];
    for f in FAMILIES {
        let plain = || to_backend(f).udp(NAT_PORT, TARGET_PORT);
        let payload = zero(&plain, 14 + f.header_bytes());
        assert_eq!(plain().payload(payload).bytes()[14 + f.header_bytes() + 6..][..2], [0xff; 2]);
        rows.push(
            Row::new(
                format!("{}: a UDP checksum that computes to 0 is sent as 0xffff", f.name()),
                opened(f, udp(f)),
            )
            .redirects(
                to_vip(f).udp(CLIENT_PORT, VIP_PORT).payload(payload),
                plain().payload(payload),
                Delta::forwarded(1).event(Event::TrackedHit),
            ),
        );
    }
    run(&rows);
}

#[test]
fn refusals_have_names() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let other = Flow::tcp((f.other_client(), 1_234), (f.vip(), VIP_PORT));
        let syn = || to_vip(f).tcp(CLIENT_PORT, VIP_PORT).syn();
        rows.extend([
            Row::new(format!("{name}: the only port is another client's"), opened(f, other))
                .drops(syn(), Delta::outcome(Outcome::DropNatPortsExhausted)),
            Row::new(
                format!("{name}: the port towards this backend is free: UDP does not take TCP's"),
                opened(f, Flow { protocol: 17, ..other }),
            )
            .redirects(
                syn(),
                to_backend(f).tcp(NAT_PORT, TARGET_PORT).syn(),
                Delta::forwarded(1).event(Event::FlowOpened),
            )
            .stores(records(f, tcp(f))[0].clone())
            .stores(records(f, tcp(f))[1].clone()),
            Row::new(format!("{name}: no backend"), State::service(f, MODE).ring(0, &[0]))
                .drops(syn(), Delta::outcome(Outcome::DropNoBackend)),
            Row::new(format!("{name}: hop limit used up"), opened(f, tcp(f))).drops(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT).hop_limit(1),
                Delta::outcome(Outcome::DropTtlExpired),
            ),
            Row::new(format!("{name}: hop limit used up: nothing is opened"), service(f))
                .drops(syn().hop_limit(1), Delta::outcome(Outcome::DropTtlExpired)),
            Row::new(format!("{name}: hop limit of a reply used up"), opened(f, tcp(f)))
                .drops(
                    from_backend(f).tcp(TARGET_PORT, NAT_PORT).hop_limit(1),
                    Delta::outcome(Outcome::DropTtlExpired),
                )
                .arrives_at(BACKEND_SIDE),
            Row::new(
                format!("{name}: no way to the client: the host forwards the translated reply"),
                service(f)
                    .with(records(f, afar(f))[0].clone())
                    .with(records(f, afar(f))[1].clone()),
            )
            .step(
                from_backend(f).tcp(TARGET_PORT, NAT_PORT),
                lb_tests::packet::Verdict::Pass,
                lb_tests::packet::Output::Frame(Box::new(
                    ip(f.vip(), f.stranger())
                        .macs(backend_mac(1), EGRESS_MAC)
                        .hop_limit(62)
                        .tcp(VIP_PORT, CLIENT_PORT),
                )),
                Delta::outcome(Outcome::PassNoNeighbour),
            )
            .arrives_at(BACKEND_SIDE),
        ]);
    }
    run(&rows);
}

/// A flow of a client to which there is no route.
fn afar(family: Family) -> Flow {
    Flow::tcp((family.stranger(), CLIENT_PORT), (family.vip(), VIP_PORT))
}
