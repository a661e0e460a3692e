//! ICMP and ICMPv6 to a VIP's address: echo is answered, errors reach the flow's backend, the rest
//! is the host's.
#![allow(
    clippy::indexing_slicing,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use lb_common::{
    abi::{Mode, SLOT_MOVED},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame, ROUTER_MAC, Row,
    State, V4, V6, VIP_PORT, backend_mac, ip, miss_flow, run,
};

/// From the client to the VIP.
fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

/// The VIP's answer to the client.
fn answer(family: Family) -> Frame {
    ip(family.vip(), family.client()).macs(ROUTER_MAC, CLIENT_MAC).hop_limit(64)
}

#[test]
fn echo_is_answered() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let (request, reply) = f.echo();
        for (what, change) in [
            ("with the payload of ping", (|frame| frame.payload([0x42; 56])) as fn(Frame) -> Frame),
            ("without payload", |frame| frame),
            ("of odd length", |frame| frame.payload([0xff; 33])),
            ("of 1400 bytes", |frame| {
                frame.payload((0..1400_u32).map(|i| i as u8).collect::<Vec<_>>())
            }),
            ("with a VLAN tag", |frame| frame.tag(0x8100, 0x6007).payload(b"tagged")),
            ("with QinQ", |frame| frame.tag(0x88a8, 1).tag(0x8100, 2).payload(b"tagged")),
            ("with Ethernet padding", |frame| frame.trailer(&[0; 14])),
        ] {
            let row = Row::new(
                format!("{}: echo request {what}", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            );
            rows.push(row.answers(
                change(to_vip(f).icmp(request, 0, 0x1234_0001)),
                change(answer(f).icmp(reply, 0, 0x1234_0001)),
                Delta::outcome(Outcome::EchoAnswered),
            ));
        }
        rows.push(
            Row::new(
                format!("{}: a VIP without backends answers too", f.name()),
                State::service(f, Mode::Nat),
            )
            .answers(
                to_vip(f).icmp(request, 0, 7).payload(b"up?"),
                answer(f).icmp(reply, 0, 7).payload(b"up?"),
                Delta::outcome(Outcome::EchoAnswered),
            ),
        );
    }
    // The checksum of the request is 0xf7ff, the reply's carries over.
    rows.push(
        Row::new("IPv4: a checksum that carries", State::one_backend(V4, Mode::L2Dsr)).answers(
            to_vip(V4).icmp(8, 0, 0),
            answer(V4).icmp(0, 0, 0),
            Delta::outcome(Outcome::EchoAnswered),
        ),
    );
    run(&rows);
}

#[test]
fn other_messages_pass() {
    let mut rows = Vec::new();
    for (f, messages) in [
        (
            V4,
            &[
                (0, "echo reply"),
                (5, "redirect"),
                (9, "router advertisement"),
                (13, "timestamp"),
                (255, "type 255"),
            ][..],
        ),
        (
            V6,
            &[
                (129, "echo reply"),
                (128 + 5, "router solicitation"),
                (135, "neighbour solicitation"),
                (130, "multicast listener query"),
                (137, "redirect"),
            ][..],
        ),
    ] {
        for (kind, name) in messages {
            rows.push(
                Row::new(
                    format!("{}: {name} passes", f.name()),
                    State::one_backend(f, Mode::L2Dsr),
                )
                .passes(
                    to_vip(f).icmp(*kind, 0, 0).payload([0; 16]),
                    Delta::outcome(Outcome::PassIcmp),
                ),
            );
        }
        let (request, _) = f.echo();
        rows.push(
            Row::new(
                format!("{}: an echo request in fragments passes", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .passes(
                to_vip(f).icmp(request, 0, 1).payload([1; 200]).fragment(9, 0, 104),
                Delta::outcome(Outcome::PassIcmp),
            ),
        );
    }
    run(&rows);
}

/// The error messages of a family: type, code, second word, name.
fn errors(family: Family) -> &'static [(u8, u8, u32, &'static str)] {
    match family {
        V4 => &[
            (3, 4, 1400, "fragmentation needed"),
            (3, 1, 0, "host unreachable"),
            (11, 0, 0, "time exceeded"),
            (12, 0, 0, "parameter problem"),
        ],
        V6 => &[
            (2, 0, 1400, "packet too big"),
            (1, 4, 0, "port unreachable"),
            (3, 0, 0, "time exceeded"),
            (4, 0, 0, "parameter problem"),
        ],
    }
}

/// What the VIP sent to the client, as an error quotes it: the header and the first `rest` bytes.
fn quoted(family: Family, rest: usize) -> Vec<u8> {
    let sent = ip(family.vip(), family.client()).tcp(VIP_PORT, CLIENT_PORT).payload([5; 100]);
    sent.packet()[..family.header_bytes() + rest].to_vec()
}

/// An error from a router on the client's side.
fn error(family: Family, (kind, code, word, _): (u8, u8, u32, &str), quote: &[u8]) -> Frame {
    ip(family.stranger(), family.vip()).icmp(kind, code, word).payload(quote)
}

#[test]
fn errors_reach_the_backend_of_the_flow() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let routed = |backend| Delta::forwarded(backend).event(Event::IcmpRouted);
        let hop = |frame: Frame, number| frame.macs(EGRESS_MAC, backend_mac(number));
        for message in errors(f) {
            let input = error(f, *message, &quoted(f, 8));
            rows.push(
                Row::new(
                    format!("{}: {} by L2", f.name(), message.3),
                    State::one_backend(f, Mode::L2Dsr),
                )
                .redirects(input.clone(), hop(input, 1), routed(1)),
            );
            let input = error(f, *message, &quoted(f, 60));
            rows.push(
                Row::new(
                    format!("{}: {} by tunnel, quoting more", f.name(), message.3),
                    State::one_backend(f, Mode::Tunnel),
                )
                .redirects(
                    input.clone(),
                    hop(input, 1).inside(f.outer(1)),
                    routed(1),
                ),
            );
        }
        let flow = Flow::tcp((f.client(), CLIENT_PORT), (f.vip(), VIP_PORT));
        let moved = State::service(f, Mode::L2Dsr)
            .backend(1, f, Mode::L2Dsr)
            .backend(2, f, Mode::L2Dsr)
            .backend(3, f, Mode::L2Dsr)
            .ring(0, &[2 | SLOT_MOVED])
            .previous(0, &[1]);
        let input = error(f, errors(f)[0], &quoted(f, 8));
        rows.extend([
            Row::new(
                format!("{}: in a moved slot the tracked flow decides", f.name()),
                moved.clone().with(miss_flow(flow, 3)),
            )
            .redirects(input.clone(), hop(input.clone(), 3), routed(3)),
            Row::new(
                format!("{}: in a moved slot the previous decides, nothing is stored", f.name()),
                moved,
            )
            .redirects(input.clone(), hop(input.clone(), 1), routed(1)),
            Row::new(format!("{}: in a VLAN", f.name()), State::one_backend(f, Mode::L2Dsr))
                .redirects(
                    input.clone().tag(0x8100, 9),
                    hop(input.clone().tag(0x8100, 9), 1),
                    routed(1),
                ),
            Row::new(
                format!("{}: of an all-ports VIP", f.name()),
                State::one_backend(f, Mode::L2Dsr).all_ports(),
            )
            .redirects(input.clone(), hop(input, 1), routed(1)),
        ]);
        let udp = ip(f.vip(), f.client()).udp(VIP_PORT, CLIENT_PORT).payload(b"answer").packet();
        let input = error(f, errors(f)[1], &udp);
        rows.push(
            Row::new(format!("{}: about UDP", f.name()), State::one_backend(f, Mode::L2Dsr))
                .redirects(input.clone(), hop(input, 1), routed(1)),
        );
    }
    run(&rows);
}

#[test]
fn errors_about_nothing_of_ours_are_dropped_by_name() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let packet = |from, to, source, destination| ip(from, to).tcp(source, destination).packet();
        let (client, vip) = (f.client(), f.vip());
        let cut = |bytes: usize| quoted(f, 8)[..bytes].to_vec();
        for (what, quote) in [
            ("quotes a packet that is not from the VIP", packet(f.stranger(), client, VIP_PORT, 1)),
            ("quotes a packet to the VIP", packet(client, vip, 1, VIP_PORT)),
            ("quotes a port that is no VIP's", packet(vip, client, 81, CLIENT_PORT)),
            ("quotes nothing", Vec::new()),
            ("quotes half a header", cut(12)),
            ("quotes a header without ports", cut(f.header_bytes())),
            ("quotes half the ports", cut(f.header_bytes() + 2)),
            ("quotes garbage", vec![0xff; 64]),
            ("quotes an echo reply", ip(vip, client).icmp(f.echo().1, 0, 1).packet()),
            (
                "quotes a later fragment",
                ip(vip, client).udp(VIP_PORT, 1).payload([0; 64]).fragment(1, 16, 48).packet(),
            ),
        ] {
            let text = format!("{}: an error that {what}", f.name());
            let row = Row::new(text, State::one_backend(f, Mode::L2Dsr));
            rows.push(
                row.drops(
                    error(f, errors(f)[0], &quote),
                    Delta::outcome(Outcome::DropIcmpUnmatched),
                ),
            );
        }
        rows.push(
            Row::new(
                format!("{}: an error about a flow without a backend", f.name()),
                State::service(f, Mode::L2Dsr).ring(0, &[0]),
            )
            .drops(error(f, errors(f)[0], &quoted(f, 8)), Delta::outcome(Outcome::DropNoBackend)),
        );
        rows.push(
            Row::new(
                format!("{}: an error to an address that is no VIP passes", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .passes(
                error(f, errors(f)[0], &quoted(f, 8)).between(f.client(), f.stranger()),
                Delta::outcome(Outcome::PassNotVip),
            ),
        );
    }
    run(&rows);
}
