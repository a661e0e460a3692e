//! Destination NAT: the client's address is kept, the router is the backends' gateway.
#![allow(
    clippy::too_many_lines,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use lb_common::{
    abi::Mode,
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame,
    ROUTER_MAC, Row, State, Stored, VIP_PORT, backend_mac, ip, nat_flow, nat_reply, run,
};

const MODE: Mode = Mode::Dnat;
const TARGET_PORT: u16 = 8_080;

fn service(family: Family) -> State {
    State::one_backend(family, MODE).change(1, |backend| backend.port = TARGET_PORT.to_be())
}

fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

fn to_backend(family: Family) -> Frame {
    ip(family.client(), family.backend(1)).macs(EGRESS_MAC, backend_mac(1)).hop_limit(62)
}

fn from_backend(family: Family) -> Frame {
    ip(family.backend(1), family.client()).macs(backend_mac(1), EGRESS_MAC)
}

fn to_client(family: Family) -> Frame {
    ip(family.vip(), family.client()).macs(ROUTER_MAC, CLIENT_MAC).hop_limit(62)
}

fn tcp(family: Family) -> Flow {
    Flow::tcp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn udp(family: Family) -> Flow {
    Flow::udp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

fn records(family: Family, flow: Flow) -> [Stored; 2] {
    let source = (family.client(), CLIENT_PORT);
    let target = (family.backend(1), TARGET_PORT);
    let reply = Flow { source: target.into(), destination: source.into(), ..flow };
    [nat_flow(flow, 1, source), nat_reply(reply, 1, flow)]
}

fn opened(family: Family, flow: Flow) -> State {
    let [forward, reverse] = records(family, flow);
    service(family).with(forward).with(reverse)
}

#[test]
fn only_the_destination_changes_and_replies_come_from_the_vip() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let new = || Delta::forwarded(1).event(Event::FlowOpened);
        let hit = || Delta::forwarded(1).event(Event::TrackedHit);
        let [forward, reverse] = records(f, tcp(f));
        let [udp_forward, udp_reverse] = records(f, udp(f));
        rows.extend([
            Row::new(format!("{name}: a SYN opens the flow"), service(f))
                .redirects(
                    to_vip(f).tcp(CLIENT_PORT, VIP_PORT).syn(),
                    to_backend(f).tcp(CLIENT_PORT, TARGET_PORT).syn(),
                    new(),
                )
                .stores(forward)
                .stores(reverse.clone()),
            Row::new(format!("{name}: UDP opens the flow"), service(f))
                .redirects(
                    to_vip(f).udp(CLIENT_PORT, VIP_PORT).payload(b"q"),
                    to_backend(f).udp(CLIENT_PORT, TARGET_PORT).payload(b"q"),
                    new(),
                )
                .stores(udp_forward)
                .stores(udp_reverse),
            Row::new(format!("{name}: data of an open flow"), opened(f, tcp(f))).redirects(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT).payload([6; 99]),
                to_backend(f).tcp(CLIENT_PORT, TARGET_PORT).payload([6; 99]),
                hit(),
            ),
            Row::new(format!("{name}: a tagged packet of an open flow"), opened(f, tcp(f)))
                .redirects(
                    to_vip(f).tcp(CLIENT_PORT, VIP_PORT).tag(0x8100, 5),
                    to_backend(f).tcp(CLIENT_PORT, TARGET_PORT).tag(0x8100, 5),
                    hit(),
                ),
            Row::new(format!("{name}: a reply comes from the VIP"), opened(f, tcp(f)))
                .redirects(
                    from_backend(f).tcp(TARGET_PORT, CLIENT_PORT).payload([1; 50]),
                    to_client(f).tcp(VIP_PORT, CLIENT_PORT).payload([1; 50]),
                    Delta::replied(1),
                )
                .arrives_at(BACKEND_SIDE),
            Row::new(format!("{name}: a UDP answer comes from the VIP"), opened(f, udp(f)))
                .redirects(
                    from_backend(f).udp(TARGET_PORT, CLIENT_PORT).payload(b"a"),
                    to_client(f).udp(VIP_PORT, CLIENT_PORT).payload(b"a"),
                    Delta::replied(1),
                )
                .arrives_at(BACKEND_SIDE),
            Row::new(format!("{name}: the forward record was evicted: it is rebuilt"), {
                service(f).with(reverse)
            })
            .redirects(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT),
                to_backend(f).tcp(CLIENT_PORT, TARGET_PORT),
                Delta::forwarded(1).event(Event::MissCurrent),
            )
            .stores(records(f, tcp(f))[0].clone()),
            Row::new(
                format!("{name}: what the backend sends of its own accord passes"),
                service(f),
            )
            .passes(
                from_backend(f).tcp(TARGET_PORT, CLIENT_PORT),
                Delta::outcome(Outcome::PassNotVip),
            )
            .arrives_at(BACKEND_SIDE),
            Row::new(format!("{name}: no backend"), State::service(f, MODE).ring(0, &[0])).drops(
                to_vip(f).tcp(CLIENT_PORT, VIP_PORT).syn(),
                Delta::outcome(Outcome::DropNoBackend),
            ),
        ]);
    }
    run(&rows);
}

#[test]
fn two_vips_that_would_share_a_reply_tuple_do_not_mix() {
    let rows = FAMILIES.map(|f| {
        // The client talks from one port to ports 80 and 81 of the VIP, both served by one backend
        // at one port: replies could not be told apart, so the second flow is refused.
        let state = opened(f, tcp(f)).vip(0, (f.vip(), 81), 6, MODE, 0);
        Row::new(format!("{}: the reply tuple is another flow's", f.name()), state).drops(
            to_vip(f).tcp(CLIENT_PORT, 81).syn(),
            Delta::outcome(Outcome::DropNatPortsExhausted),
        )
    });
    run(&rows);
}
