//! IPv6 extension headers: a bounded number is followed, and left in the packet.

use lb_common::{abi::Mode, verdict::Outcome};
use lb_tests::packet::{Delta, EGRESS_MAC, Frame, Row, State, V6, VIP_PORT, backend_mac, ip, run};

const HOP_BY_HOP: (u8, &[u8]) = (0, &[1, 4, 0, 0, 0, 0]);
const ROUTING: (u8, &[u8]) = (43, &[4, 0, 0, 0, 0, 0]);
const DESTINATION: (u8, &[u8]) = (60, &[1, 4, 0, 0, 0, 0]);
/// Destination options of 24 bytes.
const LONG: (u8, &[u8]) =
    (60, &[1, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

fn with(mut frame: Frame, extensions: &[(u8, &[u8])]) -> Frame {
    for (number, content) in extensions {
        frame = frame.extension(*number, content);
    }
    frame
}

fn to_vip() -> Frame {
    ip(V6.client(), V6.vip())
}

#[test]
fn up_to_four_are_followed() {
    let mut rows = Vec::new();
    for (what, extensions) in [
        ("hop-by-hop options", &[HOP_BY_HOP][..]),
        ("a routing header", &[ROUTING]),
        ("destination options", &[DESTINATION]),
        ("long destination options", &[LONG]),
        ("two", &[HOP_BY_HOP, DESTINATION]),
        ("three", &[HOP_BY_HOP, DESTINATION, ROUTING]),
        ("four", &[HOP_BY_HOP, DESTINATION, ROUTING, LONG]),
    ] {
        for (kind, frame) in [
            ("TCP", to_vip().tcp(40_000, VIP_PORT).payload(b"x")),
            ("UDP", to_vip().udp(40_000, VIP_PORT).payload(b"x")),
        ] {
            let input = with(frame, extensions);
            let near = input.clone().macs(EGRESS_MAC, backend_mac(1));
            rows.push(
                Row::new(
                    format!("{kind} behind {what}, by L2"),
                    State::one_backend(V6, Mode::L2Dsr),
                )
                .redirects(input.clone(), near.clone(), Delta::forwarded(1)),
            );
            rows.push(
                Row::new(
                    format!("{kind} behind {what}, tunnelled"),
                    State::one_backend(V6, Mode::Tunnel),
                )
                .redirects(input, near.inside(V6.outer(1)), Delta::forwarded(1)),
            );
        }
        let echo = with(to_vip().icmp(128, 0, 5).payload(b"ping"), extensions);
        let reply = ip(V6.vip(), V6.client())
            .macs(lb_tests::packet::ROUTER_MAC, lb_tests::packet::CLIENT_MAC)
            .hop_limit(64)
            .icmp(129, 0, 5)
            .payload(b"ping");
        rows.push(
            Row::new(format!("echo request behind {what}"), State::one_backend(V6, Mode::L2Dsr))
                .answers(echo, with(reply, extensions), Delta::outcome(Outcome::EchoAnswered)),
        );
    }
    run(&rows);
}

#[test]
fn more_are_not() {
    let five = [HOP_BY_HOP, DESTINATION, ROUTING, DESTINATION, DESTINATION];
    let state = || State::one_backend(V6, Mode::L2Dsr);
    let lying = to_vip().tcp(40_000, VIP_PORT).extension(60, &[1, 4, 0, 0, 0, 0]).patch(41, &[200]);
    run(&[
        Row::new("five, to a VIP address", state()).drops(
            with(to_vip().tcp(40_000, VIP_PORT), &five),
            Delta::outcome(Outcome::DropTooManyExtensions),
        ),
        Row::new("six, to a VIP address", state()).drops(
            with(to_vip().udp(40_000, VIP_PORT), &[&five[..], &[LONG]].concat()),
            Delta::outcome(Outcome::DropTooManyExtensions),
        ),
        Row::new("five, to another address: the host may follow them", state()).passes(
            with(ip(V6.client(), V6.stranger()).tcp(40_000, VIP_PORT), &five),
            Delta::outcome(Outcome::PassMalformed),
        ),
        Row::new("four, to another address", state()).passes(
            with(ip(V6.client(), V6.stranger()).tcp(40_000, VIP_PORT), &five[..4]),
            Delta::outcome(Outcome::PassNotVip),
        ),
        Row::new("an extension longer than the packet", state())
            .drops(lying, Delta::outcome(Outcome::DropTruncated)),
        Row::new("an extension that the packet ends in", state())
            .drops(to_vip().protocol(60).payload([6]), Delta::outcome(Outcome::DropBadHeader)),
        Row::new("no next header: nothing to balance", state())
            .passes(to_vip().protocol(59), Delta::outcome(Outcome::PassNotVip)),
        Row::new("an authentication header is not followed", state())
            .passes(to_vip().protocol(51).payload([0; 24]), Delta::outcome(Outcome::PassNotVip)),
    ]);
}
