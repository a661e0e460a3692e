//! ICMP errors about translated flows: the error and the packet that it quotes are translated, in
//! both directions.
#![allow(
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use lb_common::{
    abi::Mode,
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame,
    NAT_PORT, ROUTER_MAC, Row, SCTP, State, TCP, UDP, V4, VIP_PORT, backend_mac, ip, nat_flow,
    nat_reply, run,
};

const TARGET_PORT: u16 = 8_080;

/// One open flow of this protocol towards backend 1.
fn opened(family: Family, mode: Mode, protocol: u8) -> State {
    let flow = Flow {
        protocol,
        source: (family.client(), CLIENT_PORT).into(),
        destination: (family.vip(), VIP_PORT).into(),
    };
    let source = seen_by_backend(family, mode);
    let target = (family.backend(1), TARGET_PORT);
    let reply = Flow { protocol, source: target.into(), destination: source.into() };
    State::one_backend(family, mode)
        .change(1, |backend| backend.port = TARGET_PORT.to_be())
        .with(nat_flow(flow, 1, source))
        .with(nat_reply(reply, 1, flow))
}

/// The client as the backend sees it.
fn seen_by_backend(family: Family, mode: Mode) -> (std::net::IpAddr, u16) {
    match mode {
        Mode::Dnat => (family.client(), CLIENT_PORT),
        _ => (family.router(), NAT_PORT),
    }
}

/// Type, code and word of "too big" and of "port unreachable".
fn messages(family: Family) -> [(u8, u8, u32); 2] {
    match family {
        V4 => [(3, 4, 1400), (3, 3, 0)],
        Family::V6 => [(2, 0, 1400), (1, 4, 0)],
    }
}

fn transport(frame: Frame, protocol: u8, source: u16, destination: u16) -> Frame {
    match protocol {
        TCP => frame.tcp(source, destination),
        SCTP => frame.sctp(source, destination, 0),
        _ => frame.udp(source, destination),
    }
}

fn quote(frame: Frame, family: Family) -> Vec<u8> {
    frame.packet()[..family.header_bytes() + 8].to_vec()
}

#[test]
fn an_error_of_the_clients_side_reaches_the_backend_as_about_its_own_packet() {
    let mut rows = Vec::new();
    for (f, mode) in FAMILIES.into_iter().flat_map(|f| [(f, Mode::Nat), (f, Mode::Dnat)]) {
        for protocol in [TCP, UDP, SCTP] {
            let (kind, code, word) = messages(f)[0];
            let seen = seen_by_backend(f, mode);
            // What the VIP sent to the client, and what the backend sent for it.
            let theirs = transport(ip(f.vip(), f.client()), protocol, VIP_PORT, CLIENT_PORT);
            let ours = transport(ip(f.backend(1), seen.0), protocol, TARGET_PORT, seen.1);
            let from = match mode {
                Mode::Dnat => f.stranger(),
                _ => f.router(),
            };
            rows.push(
                Row::new(
                    format!("{} {}: too big, about protocol {protocol}", f.name(), mode.name()),
                    opened(f, mode, protocol),
                )
                .redirects(
                    ip(f.stranger(), f.vip()).icmp(kind, code, word).payload(quote(theirs, f)),
                    ip(from, f.backend(1))
                        .macs(EGRESS_MAC, backend_mac(1))
                        .hop_limit(62)
                        .icmp(kind, code, word)
                        .payload(quote(ours, f)),
                    Delta::forwarded(1).event(Event::IcmpRouted),
                ),
            );
        }
    }
    run(&rows);
}

#[test]
fn an_error_of_the_backends_side_reaches_the_client_as_from_the_vip() {
    let mut rows = Vec::new();
    for (f, mode) in FAMILIES.into_iter().flat_map(|f| [(f, Mode::Nat), (f, Mode::Dnat)]) {
        let (kind, code, word) = messages(f)[1];
        let seen = seen_by_backend(f, mode);
        let ours = ip(seen.0, f.backend(1)).udp(seen.1, TARGET_PORT).payload(b"q");
        let theirs = ip(f.client(), f.vip()).udp(CLIENT_PORT, VIP_PORT).payload(b"q");
        for (what, from, as_from) in [
            ("of the backend itself", f.backend(1), f.vip()),
            ("of a router on the way", f.gateway(), f.gateway()),
        ] {
            rows.push(
                Row::new(
                    format!("{} {}: unreachable, {what}", f.name(), mode.name()),
                    opened(f, mode, UDP),
                )
                .redirects(
                    ip(from, seen.0)
                        .macs(backend_mac(1), EGRESS_MAC)
                        .icmp(kind, code, word)
                        .payload(quote(ours.clone(), f)),
                    ip(as_from, f.client())
                        .macs(ROUTER_MAC, CLIENT_MAC)
                        .hop_limit(62)
                        .icmp(kind, code, word)
                        .payload(quote(theirs.clone(), f)),
                    Delta::replied(1).event(Event::IcmpRouted),
                )
                .arrives_at(BACKEND_SIDE),
            );
        }
    }
    run(&rows);
}

#[test]
fn errors_about_no_flow() {
    let mut rows = Vec::new();
    for (f, mode) in FAMILIES.into_iter().flat_map(|f| [(f, Mode::Nat), (f, Mode::Dnat)]) {
        let (kind, code, word) = messages(f)[0];
        let name = format!("{} {}", f.name(), mode.name());
        let unknown = ip(f.vip(), f.client()).tcp(VIP_PORT, CLIENT_PORT + 1);
        rows.push(
            Row::new(format!("{name}: about another port of the client"), opened(f, mode, TCP))
                .drops(
                    ip(f.stranger(), f.vip()).icmp(kind, code, word).payload(quote(unknown, f)),
                    Delta::outcome(Outcome::DropIcmpUnmatched),
                ),
        );
        let own = ip(f.router(), f.backend(1)).tcp(33_000, 22);
        rows.push(
            Row::new(
                format!("{name}: about the router's own connection passes"),
                opened(f, mode, TCP),
            )
            .passes(
                ip(f.backend(1), f.router()).icmp(kind, code, word).payload(quote(own, f)),
                Delta::outcome(Outcome::PassNotVip),
            )
            .arrives_at(BACKEND_SIDE),
        );
    }
    run(&rows);
}
