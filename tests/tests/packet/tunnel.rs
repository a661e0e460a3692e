//! Tunnels: any family in any family.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use std::collections::BTreeSet;

use lb_common::{abi::Mode, verdict::Outcome};
use lb_tests::packet::{
    CLIENT_SIDE, Delta, EGRESS_MAC, FAMILIES, Family, Frame, Output, Row, State, V4, VIP_PORT,
    Verdict, backend_mac, checksums_valid, ip, on_each_machine, run, words,
};

const MODE: Mode = Mode::Tunnel;

fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

/// A service of one family with backend 1 reached through a tunnel of another.
fn service(inner: Family, outer: Family) -> State {
    State::service(inner, MODE).backend(1, outer, MODE).ring(0, &[1])
}

/// `input` inside the tunnel to backend 1.
fn tunnelled(input: &Frame, outer: Family) -> Frame {
    input.clone().macs(EGRESS_MAC, backend_mac(1)).inside(outer.outer(1))
}

fn combinations() -> impl Iterator<Item = (Family, Family, String)> {
    FAMILIES.into_iter().flat_map(|inner| {
        FAMILIES.map(|outer| (inner, outer, format!("{} in {}", inner.name(), outer.name())))
    })
}

#[test]
fn packets_travel_whole_inside_the_tunnel() {
    let mut rows = Vec::new();
    for (inner, outer, name) in combinations() {
        let vip = || to_vip(inner);
        for (what, input) in [
            ("a TCP SYN", vip().tcp(40_000, VIP_PORT).syn()),
            ("TCP data", vip().tcp(40_000, VIP_PORT).payload([0x55; 301])),
            ("a TCP RST", vip().tcp(40_000, VIP_PORT).rst()),
            ("a UDP datagram", vip().udp(40_000, VIP_PORT).payload(b"query")),
            ("an empty UDP datagram", vip().udp(40_000, VIP_PORT)),
            ("the traffic class is copied", vip().tcp(40_000, VIP_PORT).traffic_class(0xb9)),
            ("the flow label stays inside", vip().udp(40_000, VIP_PORT).flow_label(0xabcde)),
            ("one VLAN tag stays outside", vip().tcp(40_000, VIP_PORT).tag(0x8100, 0xe064)),
            ("QinQ stays outside", vip().tcp(40_000, VIP_PORT).tag(0x88a8, 100).tag(0x8100, 7)),
        ] {
            let output = tunnelled(&input, outer);
            rows.push(Row::new(format!("{name}: {what}"), service(inner, outer)).redirects(
                input,
                output,
                Delta::forwarded(1),
            ));
        }
        let input = vip().tcp(40_000, VIP_PORT);
        let here = service(inner, outer).change(1, |b| b.next_hop.ifindex = CLIENT_SIDE);
        rows.push(Row::new(format!("{name}: the backend is where the client is"), here).transmits(
            input.clone(),
            tunnelled(&input, outer),
            Delta::forwarded(1),
        ));
    }
    run(&rows);
}

#[test]
fn the_largest_packet_that_fits_is_tunnelled_and_one_byte_more_is_answered() {
    let mut rows = Vec::new();
    for (inner, outer, name) in combinations() {
        let room = 1500 - outer.header_bytes() - inner.header_bytes() - 20;
        let sized =
            |payload| to_vip(inner).tcp(40_000, VIP_PORT).dont_fragment().payload(vec![9; payload]);
        let fits = sized(room);
        let output = tunnelled(&fits, outer);
        rows.push(
            Row::new(format!("{name}: exactly the MTU fits"), service(inner, outer)).redirects(
                fits,
                output,
                Delta::forwarded(1),
            ),
        );
        rows.push(
            Row::new(format!("{name}: one byte more is answered"), service(inner, outer)).step(
                sized(room + 1),
                Verdict::Redirect,
                Output::Such(match (inner, outer) {
                    (V4, V4) => |i, o| too_big(i, o, V4, 1480),
                    (V4, _) => |i, o| too_big(i, o, V4, 1460),
                    (_, V4) => |i, o| too_big(i, o, Family::V6, 1480),
                    _ => |i, o| too_big(i, o, Family::V6, 1460),
                }),
                Delta::outcome(Outcome::TooBigAnswered),
            ),
        );
    }
    run(&rows);
}

/// Checks an answer "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443) that tells
/// the client to send packets of at most `mtu` bytes.
fn too_big(input: &[u8], output: &[u8], family: Family, mtu: u16) -> Result<(), String> {
    let (header, quoted_max) = match family {
        V4 => (20, 576),
        Family::V6 => (40, 1280),
    };
    let packet = output.get(14..).ok_or("no packet came out")?;
    let icmp = packet.get(header..header + 8).ok_or("the answer is cut short")?;
    let quoted = &packet[header + 8..];
    let (kind, addresses) = match family {
        V4 => ((3, 4), (12..16, 16..20)),
        Family::V6 => ((2, 0), (8..24, 24..40)),
    };
    let lines: [(&str, bool); 8] = [
        ("the MACs are swapped", output[..6] == input[6..12] && output[6..12] == input[..6]),
        ("it goes to the client", packet[addresses.1.clone()] == input[14..][addresses.0.clone()]),
        ("it comes from the VIP", packet[addresses.0] == input[14..][addresses.1]),
        ("its type and code", (icmp[0], icmp[1]) == kind),
        ("its MTU", icmp[4..8] == u32::from(mtu).to_be_bytes()),
        ("it quotes at least header and ports", quoted.len() >= header + 8),
        ("it quotes what came, within bounds", {
            input[14..].starts_with(quoted) && packet.len() <= quoted_max
        }),
        ("its checksums", checksums_valid(packet)),
    ];
    let wrong: Vec<_> =
        lines.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not so: {}\n      {}",
        wrong.join("; "),
        lb_tests::packet::describe(output).join("\n      ")
    ))
}

#[test]
fn an_oversized_packet_that_may_be_fragmented_is_not_cut() {
    // IPv4 without DF: the balancer does not fragment. The sender is told nothing it would heed
    // (RFC 792 allows the error only with DF), so the packet is dropped by name.
    let input = to_vip(V4).tcp(40_000, VIP_PORT).payload(vec![9; 1460]);
    run(&[Row::new("IPv4 in IPv4: too big without DF", service(V4, V4))
        .drops(input, Delta::outcome(Outcome::DropTooBig))]);
}

#[test]
fn the_path_mtu_of_the_backend_counts() {
    let mut rows = Vec::new();
    for (inner, outer, name) in combinations() {
        let mtu = 1500 + outer.header_bytes() as u16;
        let input =
            to_vip(inner).tcp(40_000, VIP_PORT).payload(vec![3; 1480 - inner.header_bytes()]);
        let output = tunnelled(&input, outer);
        rows.push(
            Row::new(
                format!("{name}: a path of {mtu} bytes carries 1500 inside"),
                service(inner, outer).change(1, |b| b.mtu = mtu),
            )
            .redirects(input, output, Delta::forwarded(1)),
        );
    }
    run(&rows);
}

#[test]
fn the_outer_source_is_the_same_for_a_flow_and_spread_over_flows() {
    on_each_machine(|place, machine| {
        for (inner, outer, name) in combinations() {
            // The base's own low bits must not shine through.
            let base = match outer {
                V4 => "10.9.255.255".parse(),
                Family::V6 => "fd09::ffff:ffff".parse(),
            };
            let base = words(base.unwrap());
            machine.set(&service(inner, outer).change(1, |b| b.source = base)).unwrap();
            let mut source = |port: u16, payload: &[u8]| {
                let frame = to_vip(inner).tcp(port, VIP_PORT).payload(payload).bytes();
                let out = machine.run(&frame, CLIENT_SIDE).unwrap().frame;
                match outer {
                    V4 => out[14 + 12..14 + 16].to_vec(),
                    Family::V6 => out[14 + 8..14 + 24].to_vec(),
                }
            };
            let sources: BTreeSet<_> = (1..=200).map(|port| source(port, b"")).collect();
            let count = sources.len();
            assert!(count > 190, "{name} {place}: 200 flows left from {count} sources");
            assert_eq!(source(7, b"first"), source(7, b"another packet"), "{name} {place}");
        }
    });
}
