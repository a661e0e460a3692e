//! Source ranges: who is served, and that everybody else is dropped by name, whatever they send.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb_common::{
    abi::{Mode, VIP_FLAG_SOURCES},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    CLIENT_PORT, CLIENT_SIDE, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame, NAT_PORT, Row,
    State, Stored, TCP, V4, V6, VIP_PORT, Verdict, backend_mac, fragment_forward, ip, nat_flow,
    nat_reply, on_each_machine, run,
};

const MODES: [Mode; 4] = [Mode::L2Dsr, Mode::Tunnel, Mode::Nat, Mode::Dnat];
const ID: u32 = 0x1234;

/// Bits of the route to one host.
const fn host_bits(family: Family) -> u8 {
    match family {
        V4 => 32,
        V6 => 128,
    }
}

const fn unspecified(family: Family) -> IpAddr {
    match family {
        V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn from(client: IpAddr, family: Family) -> Frame {
    ip(client, family.vip())
}

/// Only the client is served.
fn client_only(family: Family, mode: Mode) -> State {
    State::one_backend(family, mode).sources(&[(family.client(), host_bits(family))])
}

fn refused() -> Delta {
    Delta::outcome(Outcome::DropSourceRefused).event(Event::SourceRefused)
}

/// The packet as the backend gets it, in modes that leave it alone.
fn delivered(frame: Frame, family: Family, mode: Mode) -> Frame {
    let frame = frame.macs(EGRESS_MAC, backend_mac(1));
    match mode {
        Mode::Tunnel => frame.inside(family.outer(1)),
        _ => frame,
    }
}

/// Both records of a client's TCP flow in a mode that translates.
fn records(family: Family, client: IpAddr, mode: Mode) -> [Stored; 2] {
    let flow = Flow::tcp((client, CLIENT_PORT), (family.vip(), VIP_PORT));
    let source = match mode {
        Mode::Nat => (family.router(), NAT_PORT),
        _ => (client, CLIENT_PORT),
    };
    let reply = Flow::tcp((family.backend(1), VIP_PORT), source);
    [nat_flow(flow, 1, source), nat_reply(reply, 1, flow)]
}

#[test]
fn clients_in_a_range_are_served() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in [Mode::L2Dsr, Mode::Tunnel] {
            for (what, input) in [
                ("a SYN", from(f.client(), f).tcp(CLIENT_PORT, VIP_PORT).syn()),
                ("data", from(f.client(), f).tcp(CLIENT_PORT, VIP_PORT).payload([1; 99])),
                ("a datagram", from(f.client(), f).udp(CLIENT_PORT, VIP_PORT).payload(b"?")),
                ("in a VLAN", from(f.client(), f).udp(CLIENT_PORT, VIP_PORT).tag(0x8100, 9)),
            ] {
                let output = delivered(input.clone(), f, mode);
                let text = format!("{} {}: {what}", f.name(), mode.name());
                rows.push(Row::new(text, client_only(f, mode)).redirects(
                    input,
                    output,
                    Delta::forwarded(1),
                ));
            }
        }
        for mode in [Mode::Nat, Mode::Dnat] {
            let (source, port) = match mode {
                Mode::Nat => (f.router(), NAT_PORT),
                _ => (f.client(), CLIENT_PORT),
            };
            let output = ip(source, f.backend(1)).tcp(port, VIP_PORT).syn().hop_limit(62);
            let [forward, reverse] = records(f, f.client(), mode);
            rows.push(
                Row::new(format!("{} {}: a SYN", f.name(), mode.name()), client_only(f, mode))
                    .redirects(
                        from(f.client(), f).tcp(CLIENT_PORT, VIP_PORT).syn(),
                        output.macs(EGRESS_MAC, backend_mac(1)),
                        Delta::forwarded(1).event(Event::FlowOpened),
                    )
                    .stores(forward)
                    .stores(reverse),
            );
        }
    }
    run(&rows);
}

#[test]
fn others_are_dropped_by_name_and_leave_no_record() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in MODES {
            for (what, input) in [
                ("a SYN", from(f.other_client(), f).tcp(CLIENT_PORT, VIP_PORT).syn()),
                ("data", from(f.other_client(), f).tcp(CLIENT_PORT, VIP_PORT).payload([1; 99])),
                ("a datagram", from(f.other_client(), f).udp(CLIENT_PORT, VIP_PORT)),
                ("its last hop", from(f.stranger(), f).tcp(1, VIP_PORT).hop_limit(1)),
            ] {
                let text = format!("{} {}: {what}", f.name(), mode.name());
                rows.push(Row::new(text, client_only(f, mode)).drops(input, refused()));
            }
            let all = client_only(f, mode).all_ports();
            rows.push(
                Row::new(format!("{} {}: any port", f.name(), mode.name()), all)
                    .drops(from(f.other_client(), f).tcp(CLIENT_PORT, 22).syn(), refused()),
            );
        }
    }
    run(&rows);
}

#[test]
fn ranges_are_as_long_as_they_say() {
    let mut rows = Vec::new();
    let served = |f: Family, what: &str, ranges: &[(IpAddr, u8)], is_served: bool| {
        let state = State::one_backend(f, Mode::L2Dsr).sources(ranges);
        let row = Row::new(format!("{}: {what}", f.name()), state);
        let input = from(f.client(), f).tcp(CLIENT_PORT, VIP_PORT).syn();
        let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
        if is_served {
            row.redirects(input, output, Delta::forwarded(1))
        } else {
            row.drops(input, refused())
        }
    };
    for f in FAMILIES {
        let all = host_bits(f);
        rows.extend([
            served(f, "everybody", &[(unspecified(f), 0)], true),
            served(f, "nobody", &[], false),
            served(f, "one host", &[(f.client(), all)], true),
            served(f, "another host", &[(f.other_client(), all)], false),
            served(f, "another host and everybody", &[(f.vip(), all), (unspecified(f), 0)], true),
            served(f, "two other hosts", &[(f.other_client(), all), (f.vip(), all)], false),
        ]);
    }
    let v4 = |text: &str| IpAddr::V4(text.parse().unwrap());
    let v6 = |text: &str| IpAddr::V6(text.parse().unwrap());
    rows.extend([
        // The client is 192.0.2.7.
        served(V4, "192.0.2.0/24", &[(v4("192.0.2.0"), 24)], true),
        served(V4, "192.0.2.0/29", &[(v4("192.0.2.0"), 29)], true),
        served(V4, "192.0.2.8/29", &[(v4("192.0.2.8"), 29)], false),
        served(V4, "128.0.0.0/1", &[(v4("128.0.0.0"), 1)], true),
        served(V4, "0.0.0.0/1", &[(v4("0.0.0.0"), 1)], false),
        served(V4, "192.0.2.6/31", &[(v4("192.0.2.6"), 31)], true),
        // The client is 2001:db8:2::7.
        served(V6, "2001:db8:2::/48", &[(v6("2001:db8:2::"), 48)], true),
        served(V6, "2001:db8:3::/48", &[(v6("2001:db8:3::"), 48)], false),
        served(V6, "2001:db8:2::/125", &[(v6("2001:db8:2::"), 125)], true),
        served(V6, "2001:db8:2::8/125", &[(v6("2001:db8:2::8"), 125)], false),
        served(V6, "2000::/3", &[(v6("2000::"), 3)], true),
        served(V6, "ranges of IPv4 alone", &[(unspecified(V4), 0)], false),
    ]);
    run(&rows);
}

#[test]
fn a_vip_without_the_flag_or_with_other_ranges_is_not_touched() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let input = from(f.other_client(), f).tcp(CLIENT_PORT, VIP_PORT).syn();
        let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
        let ranges = [(f.client(), host_bits(f))];
        rows.push(
            Row::new(
                format!("{}: ranges that are not asked for", f.name()),
                State::one_backend(f, Mode::L2Dsr).ranges(&ranges),
            )
            .redirects(input, output, Delta::forwarded(1)),
        );
        // VIP 1 is guarded too, and VIP 0's ranges are none of its own.
        let two = client_only(f, Mode::L2Dsr)
            .vip(1, (f.vip(), 443), TCP, Mode::L2Dsr, VIP_FLAG_SOURCES)
            .ring(1, &[1]);
        rows.push(Row::new(format!("{}: the ranges of another VIP", f.name()), two).drops(
            from(f.client(), f).tcp(CLIENT_PORT, 443).syn(),
            Delta::outcome(Outcome::DropSourceRefused).event_of(1, Event::SourceRefused),
        ));
    }
    run(&rows);
}

/// An error of a router in between that quotes what the VIP sent to a client.
fn error(family: Family, client: IpAddr) -> Frame {
    let quote = ip(family.vip(), client).tcp(VIP_PORT, CLIENT_PORT).payload([5; 100]).packet();
    let (kind, code) = if family == V4 { (3, 4) } else { (2, 0) };
    let quote = &quote[..family.header_bytes() + 8];
    ip(family.stranger(), family.vip()).icmp(kind, code, 1_400).payload(quote)
}

#[test]
fn errors_are_judged_by_the_client_of_their_flow() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in MODES {
            let [forward, reverse] = records(f, f.other_client(), mode);
            rows.push(
                Row::new(
                    format!("{} {}: of a refused client", f.name(), mode.name()),
                    client_only(f, mode).with(forward).with(reverse),
                )
                .drops(error(f, f.other_client()), refused()),
            );
        }
        for mode in [Mode::L2Dsr, Mode::Tunnel] {
            let input = error(f, f.client());
            rows.push(
                Row::new(
                    format!("{} {}: of one that is served", f.name(), mode.name()),
                    client_only(f, mode),
                )
                .redirects(
                    input.clone(),
                    delivered(input, f, mode),
                    Delta::forwarded(1).event(Event::IcmpRouted),
                ),
            );
        }
    }
    run(&rows);
}

#[test]
fn fragments_of_refused_clients_are_not_learnt() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let datagram = |client| from(client, f).udp(CLIENT_PORT, VIP_PORT).payload([3; 2_000]);
        let first = |client| datagram(client).fragment(ID, 0, 1_000);
        let second = |client| datagram(client).fragment(ID, 1_000, usize::MAX - 1_000);
        for mode in MODES {
            rows.push(
                Row::new(format!("{} {}", f.name(), mode.name()), client_only(f, mode))
                    .drops(first(f.other_client()), refused())
                    .drops(second(f.other_client()), Delta::outcome(Outcome::DropFragmentUnknown)),
            );
        }
        let flow = Flow::udp((f.client(), CLIENT_PORT), (f.vip(), VIP_PORT));
        let mode = Mode::Tunnel;
        rows.push(
            Row::new(format!("{}: of one that is served", f.name()), client_only(f, mode))
                .redirects(
                    first(f.client()),
                    delivered(first(f.client()), f, mode),
                    Delta::forwarded(1).event(Event::FragmentLearnt),
                )
                .stores(fragment_forward(flow, ID, 1, None))
                .redirects(
                    second(f.client()),
                    delivered(second(f.client()), f, mode),
                    Delta::forwarded(1),
                ),
        );
    }
    run(&rows);
}

#[test]
fn a_range_that_is_taken_away_ends_the_flows_of_its_clients() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in [Mode::Nat, Mode::Dnat] {
            let [forward, reverse] = records(f, f.other_client(), mode);
            rows.push(
                Row::new(
                    format!("{} {}: an open flow", f.name(), mode.name()),
                    client_only(f, mode).with(forward).with(reverse),
                )
                .drops(from(f.other_client(), f).tcp(CLIENT_PORT, VIP_PORT), refused()),
            );
        }
    }
    run(&rows);
    on_each_machine(|place, machine| {
        for f in FAMILIES {
            let packet = from(f.client(), f).tcp(CLIENT_PORT, VIP_PORT).bytes();
            let other = [(f.other_client(), host_bits(f))];
            let open = State::one_backend(f, Mode::L2Dsr);
            for (state, expected) in [
                (open.clone(), Verdict::Redirect),
                (open.clone().sources(&other), Verdict::Drop),
                (client_only(f, Mode::L2Dsr), Verdict::Redirect),
                (open, Verdict::Redirect),
            ] {
                machine.set(&state).unwrap();
                let ran = machine.run(&packet, CLIENT_SIDE).unwrap();
                assert_eq!(ran.verdict, expected, "{place}, {}", f.name());
            }
        }
    });
}
