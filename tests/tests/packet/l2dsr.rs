//! Layer-2 direct server return: only the MAC addresses change.

use lb_common::{
    abi::{BackendState, Mode},
    verdict::Outcome,
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_SIDE, Delta, EGRESS_MAC, FAMILIES, Family, Frame, Row, State, TCP, UDP,
    V4, VIP_PORT, backend_mac, ip, run,
};

const MODE: Mode = Mode::L2Dsr;

fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

/// The row in which `input` goes to backend 1 with nothing but its MACs changed.
fn forwarded(row: Row, input: Frame) -> Row {
    let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
    row.redirects(input, output, Delta::forwarded(1))
}

#[test]
fn only_the_macs_change() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for (what, input) in [
            ("a TCP SYN", to_vip(f).tcp(40_000, VIP_PORT).syn()),
            ("TCP data", to_vip(f).tcp(40_000, VIP_PORT).payload([0x55; 300])),
            ("a TCP FIN", to_vip(f).tcp(40_000, VIP_PORT).fin()),
            ("a TCP RST", to_vip(f).tcp(40_000, VIP_PORT).rst()),
            ("a UDP datagram", to_vip(f).udp(40_000, VIP_PORT).payload(b"query")),
            ("an empty UDP datagram", to_vip(f).udp(40_000, VIP_PORT)),
            ("source port 0", to_vip(f).udp(0, VIP_PORT).payload(b"q")),
            ("a frame of the full MTU", full_size(f)),
            ("a marked traffic class", to_vip(f).tcp(40_000, VIP_PORT).traffic_class(0xb9)),
            (
                "a flow label or DF",
                to_vip(f).tcp(40_000, VIP_PORT).flow_label(0xf_1234).dont_fragment(),
            ),
            (
                "Ethernet padding after the packet",
                to_vip(f).udp(40_000, VIP_PORT).trailer(&[0; 18]),
            ),
            ("one VLAN tag", to_vip(f).tcp(40_000, VIP_PORT).tag(0x8100, 0xe064)),
            ("one service tag", to_vip(f).tcp(40_000, VIP_PORT).tag(0x88a8, 100)),
            ("QinQ", to_vip(f).udp(40_000, VIP_PORT).tag(0x88a8, 100).tag(0x8100, 200)),
            ("two customer tags", to_vip(f).udp(40_000, VIP_PORT).tag(0x8100, 1).tag(0x8100, 2)),
        ] {
            let text = format!("{}: {what}: only the MACs change", f.name());
            rows.push(forwarded(Row::new(text, State::one_backend(f, MODE)), input));
        }
    }
    run(&rows);
}

fn full_size(family: Family) -> Frame {
    to_vip(family).tcp(40_000, VIP_PORT).payload(vec![7; 1500 - family.header_bytes() - 20])
}

#[test]
fn ipv4_options_are_forwarded() {
    let state = || State::one_backend(V4, MODE);
    let rows = [
        ("a router alert", &[0x94, 4, 0, 0][..]),
        ("a record route of nine", &[&[7, 39, 4][..], &[0; 36], &[0]].concat()),
        ("forty bytes of no-operation", &[1; 40]),
    ]
    .map(|(what, options)| {
        let input = to_vip(V4).tcp(40_000, VIP_PORT).options(options).payload(b"x");
        forwarded(
            Row::new(format!("IPv4 with {what}: the ports are after the options"), state()),
            input,
        )
    });
    run(&rows);
}

#[test]
fn a_backend_behind_the_ingress_is_reached_by_transmitting_in_place() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let state = State::one_backend(f, MODE).change(1, |b| b.next_hop.ifindex = CLIENT_SIDE);
        let input = to_vip(f).tcp(40_000, VIP_PORT).syn();
        let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
        let name = f.name();
        rows.push(
            Row::new(format!("{name}: the backend is where the client is"), state.clone())
                .transmits(input.clone(), output.clone(), Delta::forwarded(1)),
        );
        rows.push(
            Row::new(
                format!("{name}: the client is where the backend is"),
                State::one_backend(f, MODE),
            )
            .transmits(input.clone(), output.clone(), Delta::forwarded(1))
            .arrives_at(BACKEND_SIDE),
        );
        rows.push(
            Row::new(format!("{name}: the same backend for a client elsewhere"), state)
                .redirects(input, output, Delta::forwarded(1))
                .arrives_at(BACKEND_SIDE),
        );
    }
    run(&rows);
}

#[test]
fn vips_are_found_by_address_port_and_protocol_and_then_by_port_0() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let all = || State::one_backend(f, MODE).all_ports();
        for port in [0, 1, 22, 65_535] {
            rows.push(forwarded(
                Row::new(format!("{name}: TCP port {port} of an all-ports VIP"), all()),
                to_vip(f).tcp(40_000, port),
            ));
            rows.push(forwarded(
                Row::new(format!("{name}: UDP port {port} of an all-ports VIP"), all()),
                to_vip(f).udp(40_000, port),
            ));
        }
        // VIP 1, for port 443 alone, has backend 2; VIP 0 takes all other ports.
        let both = || all().vip(1, (f.vip(), 443), TCP, MODE, 0).backend(2, f, MODE).ring(1, &[2]);
        let exact = to_vip(f).tcp(40_000, 443);
        rows.push(
            Row::new(format!("{name}: an exact port wins over all ports"), both()).redirects(
                exact.clone(),
                exact.macs(EGRESS_MAC, backend_mac(2)),
                Delta::forwarded(2),
            ),
        );
        rows.push(forwarded(
            Row::new(format!("{name}: the exact port is of TCP, UDP goes to all ports"), both()),
            to_vip(f).udp(40_000, 443),
        ));
        let tcp_and_udp = State::empty()
            .vip(0, (f.vip(), VIP_PORT), TCP, MODE, 0)
            .vip(1, (f.vip(), VIP_PORT), UDP, MODE, 0)
            .marker(f)
            .backend(1, f, MODE)
            .backend(2, f, MODE)
            .ring(0, &[1])
            .ring(1, &[2]);
        let udp = to_vip(f).udp(40_000, VIP_PORT);
        rows.push(
            Row::new(format!("{name}: TCP and UDP of one port are two VIPs"), tcp_and_udp)
                .redirects(udp.clone(), udp.macs(EGRESS_MAC, backend_mac(2)), Delta::forwarded(2)),
        );
    }
    run(&rows);
}

#[test]
fn without_a_usable_backend_packets_are_dropped_by_name() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let (no_backend, stale) = (Outcome::DropNoBackend, Outcome::DropBackendStale);
        let one = || State::one_backend(f, MODE);
        for (what, state, outcome) in [
            ("an empty slot", State::service(f, MODE).ring(0, &[0]), no_backend),
            ("a ring of another VIP only", without_ring(f), no_backend),
            ("a backend that is down", one().life(1, BackendState::Down), no_backend),
            ("a freed backend", one().life(1, BackendState::Free), no_backend),
            ("a backend index of another occupant", one().change(1, |b| b.id.0 = 5), stale),
        ] {
            for (kind, input) in [
                ("TCP SYN", to_vip(f).tcp(40_000, VIP_PORT).syn()),
                ("TCP data", to_vip(f).tcp(40_000, VIP_PORT)),
                ("UDP", to_vip(f).udp(40_000, VIP_PORT)),
            ] {
                let text = format!("{}: {kind} with {what}", f.name());
                rows.push(Row::new(text, state.clone()).drops(input, Delta::outcome(outcome)));
            }
        }
    }
    run(&rows);
}

/// VIP 3, for which no ring was ever made.
fn without_ring(family: Family) -> State {
    State::empty()
        .vip(3, (family.vip(), VIP_PORT), TCP, MODE, 0)
        .vip(3, (family.vip(), VIP_PORT), UDP, MODE, 0)
        .marker(family)
        .backend(1, family, MODE)
        .ring(0, &[1])
}

#[test]
fn a_draining_backend_in_an_unmoved_slot_still_serves() {
    let rows = FAMILIES.map(|f| {
        let state = State::one_backend(f, MODE).life(1, BackendState::Draining);
        let text = format!("{}: the ring still says so, and it is alive", f.name());
        forwarded(Row::new(text, state), to_vip(f).tcp(40_000, VIP_PORT))
    });
    run(&rows);
}
