//! Flows that leave their backend: it drains, or it is dead.

use lb_common::{
    abi::{BackendState, VIP_FLAG_UDP_STICKS as STICKS},
    verdict::Event,
};
use lb_tests::packet::{
    CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Flow, NAT_PORT, Row, VIP_PORT, backend_mac, ip,
    nat_flow, nat_reply, run,
};

use super::{MODE, TARGET_PORT, opened, records, tcp, to_backend, to_vip, udp};

#[test]
fn datagrams_leave_a_draining_backend_if_they_may() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let drains = || {
            let state = opened(f, udp(f)).life(1, BackendState::Draining).backend(2, f, MODE);
            state.change(2, |backend| backend.port = TARGET_PORT.to_be()).ring(0, &[2])
        };
        let input = || to_vip(f).udp(CLIENT_PORT, VIP_PORT);
        let (source, target) = ((f.router(), NAT_PORT), (f.backend(2), TARGET_PORT));
        let reply = Flow { source: target.into(), destination: source.into(), ..udp(f) };
        rows.push(
            Row::new(format!("{}: what sticks stays", f.name()), drains().vip_flags(STICKS))
                .redirects(
                    input(),
                    to_backend(f).udp(NAT_PORT, TARGET_PORT),
                    Delta::forwarded(1).event(Event::TrackedHit),
                ),
        );
        rows.push(
            Row::new(format!("{}: what migrates goes by the ring", f.name()), drains())
                .redirects(
                    input(),
                    ip(f.router(), f.backend(2))
                        .macs(EGRESS_MAC, backend_mac(2))
                        .hop_limit(62)
                        .udp(NAT_PORT, TARGET_PORT),
                    Delta::forwarded(2).event(Event::FlowOpened),
                )
                .forgets(records(f, udp(f))[0].clone())
                .stores(nat_flow(udp(f), 2, source))
                .stores(nat_reply(reply, 2, udp(f))),
        );
    }
    run(&rows);
}

#[test]
fn a_flow_of_a_dead_backend_is_opened_anew() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        for (what, state) in [
            ("down", opened(f, tcp(f)).life(1, BackendState::Down)),
            ("gone, its index reused", opened(f, tcp(f)).change(1, |b| b.id.0 |= 1 << 17)),
        ] {
            let target = (f.backend(2), VIP_PORT);
            let source = (f.router(), NAT_PORT);
            let reply = Flow::tcp(target, source);
            rows.push(
                Row::new(
                    format!("{}: the flow's backend is {what}", f.name()),
                    state.backend(2, f, MODE).ring(0, &[2]),
                )
                .redirects(
                    to_vip(f).tcp(CLIENT_PORT, VIP_PORT),
                    ip(f.router(), f.backend(2))
                        .macs(EGRESS_MAC, backend_mac(2))
                        .hop_limit(62)
                        .tcp(NAT_PORT, VIP_PORT),
                    Delta::forwarded(2).event(Event::MissCurrent),
                )
                .forgets(records(f, tcp(f))[0].clone())
                .stores(nat_flow(tcp(f), 2, source))
                .stores(nat_reply(reply, 2, tcp(f))),
            );
        }
    }
    run(&rows);
}
