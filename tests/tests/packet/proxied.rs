//! Proxied VIPs: what is for them passes to the host's stack untouched, counted; all else of the
//! same address goes its own way.
#![allow(
    clippy::indexing_slicing,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use lb_common::{
    abi::Mode,
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame, ROUTER_MAC, Row,
    State, TCP, UDP, VIP_PORT, backend_mac, fragment_proxied, ip, run,
};

/// The proxied port.
const PROXY_PORT: u16 = 443;
/// Index of the proxied VIP: VIP 0 is forwarded.
const INDEX: u32 = 1;
const ID: u32 = 0x1234;
const MODES: [Mode; 4] = [Mode::L2Dsr, Mode::Tunnel, Mode::Nat, Mode::Dnat];

fn to(family: Family, port: u16) -> Frame {
    ip(family.client(), family.vip()).tcp(CLIENT_PORT, port)
}

/// The proxied port, TCP and UDP, on an address with a marker and nothing else.
fn alone(family: Family) -> State {
    let vip = (family.vip(), PROXY_PORT);
    State::empty().proxied(INDEX, vip, TCP).proxied(INDEX, vip, UDP).marker(family)
}

/// The proxied port beside a service on the same address.
fn beside(family: Family, state: State) -> State {
    let vip = (family.vip(), PROXY_PORT);
    state.proxied(INDEX, vip, TCP).proxied(INDEX, vip, UDP)
}

fn proxied() -> Delta {
    Delta::proxied(INDEX)
}

#[test]
fn packets_pass_untouched_and_are_counted_for_their_vip() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let row = |what: &str| Row::new(format!("{}: {what}", f.name()), alone(f));
        let data = to(f, PROXY_PORT).payload([7; 900]);
        rows.extend([
            row("a SYN").passes(to(f, PROXY_PORT).syn(), proxied()),
            row("data, then a FIN, then a RST")
                .passes(data.clone(), proxied())
                .passes(to(f, PROXY_PORT).fin(), proxied())
                .passes(to(f, PROXY_PORT).rst(), proxied()),
            row("in a VLAN").passes(data.clone().tag(0x8100, 9), proxied()),
            row("its last hop").passes(data.hop_limit(1), proxied()),
            row("a datagram").passes(
                ip(f.client(), f.vip()).udp(CLIENT_PORT, PROXY_PORT).payload(b"hello"),
                proxied(),
            ),
            row("another port of the address")
                .passes(to(f, 444).syn(), Delta::outcome(Outcome::PassNotVip)),
            row("the same port of another address").passes(
                ip(f.client(), f.stranger()).tcp(CLIENT_PORT, PROXY_PORT).syn(),
                Delta::outcome(Outcome::PassNotVip),
            ),
        ]);
    }
    run(&rows);
}

#[test]
fn it_stands_beside_an_all_ports_vip_of_the_same_address() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for mode in MODES {
            let service = State::one_backend(f, mode).all_ports();
            let row =
                Row::new(format!("{} {}: one port", f.name(), mode.name()), beside(f, service));
            rows.push(row.passes(to(f, PROXY_PORT).syn(), proxied()));
        }
        let others = to(f, 8080).syn();
        rows.push(
            Row::new(
                format!("{}: all other ports are forwarded", f.name()),
                beside(f, State::one_backend(f, Mode::L2Dsr).all_ports()),
            )
            .redirects(
                others.clone(),
                others.macs(EGRESS_MAC, backend_mac(1)),
                Delta::forwarded(1),
            ),
        );
    }
    run(&rows);
}

#[test]
fn it_stands_beside_a_forwarded_port_of_the_same_address() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let state = beside(f, State::one_backend(f, Mode::L2Dsr));
        let forwarded = to(f, VIP_PORT).syn();
        rows.push(
            Row::new(format!("{}: each its own way", f.name()), state)
                .redirects(
                    forwarded.clone(),
                    forwarded.macs(EGRESS_MAC, backend_mac(1)),
                    Delta::forwarded(1),
                )
                .passes(to(f, PROXY_PORT).syn(), proxied()),
        );
    }
    run(&rows);
}

#[test]
fn fragments_pass_after_their_first() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for (state, beside_what) in [
            (alone(f), "nothing"),
            (beside(f, State::one_backend(f, Mode::Tunnel)), "a tunnel"),
            (beside(f, State::one_backend(f, Mode::Nat)), "NAT"),
        ] {
            let name = format!("{} beside {beside_what}", f.name());
            let datagram = ip(f.client(), f.vip()).udp(CLIENT_PORT, PROXY_PORT).payload([3; 2_000]);
            let first = datagram.clone().fragment(ID, 0, 1_000);
            let second = datagram.fragment(ID, 1_000, usize::MAX - 1_000);
            let flow = Flow::udp((f.client(), CLIENT_PORT), (f.vip(), PROXY_PORT));
            let learnt = fragment_proxied(flow, ID);
            rows.extend([
                Row::new(format!("{name}: both in turn"), state.clone())
                    .passes(first, proxied().event_of(INDEX, Event::FragmentLearnt))
                    .stores(learnt.clone())
                    .passes(second.clone(), proxied()),
                Row::new(format!("{name}: a later one alone is nobody's"), state)
                    .drops(second, Delta::outcome(Outcome::DropFragmentUnknown)),
            ]);
        }
    }
    run(&rows);
}

/// An error that quotes what the proxied VIP sent to the client.
fn error(family: Family, protocol: u8) -> Frame {
    let sent = ip(family.vip(), family.client());
    let sent = match protocol {
        TCP => sent.tcp(PROXY_PORT, CLIENT_PORT),
        _ => sent.udp(PROXY_PORT, CLIENT_PORT),
    };
    let quote = sent.payload([5; 100]).packet();
    let (kind, code) = if family == Family::V4 { (3, 4) } else { (2, 0) };
    let quote = &quote[..family.header_bytes() + 8];
    ip(family.stranger(), family.vip()).icmp(kind, code, 1_400).payload(quote)
}

#[test]
fn errors_about_its_packets_pass() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for (state, beside_what) in [
            (alone(f), "nothing"),
            (beside(f, State::one_backend(f, Mode::L2Dsr).all_ports()), "an all-ports VIP"),
            (beside(f, State::one_backend(f, Mode::Nat)), "NAT"),
        ] {
            let name = format!("{} beside {beside_what}", f.name());
            rows.extend([
                Row::new(format!("{name}: about TCP"), state.clone())
                    .passes(error(f, TCP), proxied()),
                Row::new(format!("{name}: about UDP"), state).passes(error(f, UDP), proxied()),
            ]);
        }
    }
    run(&rows);
}

#[test]
fn echo_requests_to_its_address_are_answered() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let (request, reply) = f.echo();
        let answer = ip(f.vip(), f.client()).macs(ROUTER_MAC, CLIENT_MAC).hop_limit(64);
        rows.push(Row::new(format!("{}: echo", f.name()), alone(f)).answers(
            ip(f.client(), f.vip()).icmp(request, 0, 0x1234_0001).payload([1; 56]),
            answer.icmp(reply, 0, 0x1234_0001).payload([1; 56]),
            Delta::outcome(Outcome::EchoAnswered),
        ));
    }
    run(&rows);
}
