//! SCTP in fragments: nobody knows the length of the whole, with which the checksum changes.

use super::{DATA, delivered, flow, from_backend, opened, to_vip};
use lb_common::{
    abi::Mode,
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Flow, Frame, Row, State, VIP_PORT,
    backend_mac, fragment_forward, nat_flow, nat_reply, run,
};

const ID: u32 = 0x1234;

#[test]
fn the_first_fragment_goes_where_its_ports_stay() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let datagram = || to_vip(f, DATA).payload([3; 2_000]);
        let first = |frame: Frame| frame.fragment(ID, 0, 1_000);
        let second = |frame: Frame| frame.fragment(ID, 1_000, usize::MAX - 1_000);
        for mode in [Mode::L2Dsr, Mode::Tunnel] {
            rows.push(
                Row::new(format!("{} {}", f.name(), mode.name()), State::one_backend(f, mode))
                    .redirects(
                        first(datagram()),
                        delivered(first(datagram()), f, mode),
                        Delta::forwarded(1).event(Event::FragmentLearnt),
                    )
                    .stores(fragment_forward(flow(f), ID, 1, None))
                    .redirects(
                        second(datagram()),
                        delivered(second(datagram()), f, mode),
                        Delta::forwarded(1),
                    ),
            );
        }
        let reply = Flow::sctp((f.backend(1), VIP_PORT), (f.client(), CLIENT_PORT));
        let state = State::one_backend(f, Mode::Dnat)
            .with(nat_flow(flow(f), 1, (f.client(), CLIENT_PORT)))
            .with(nat_reply(reply, 1, flow(f)));
        let translated = |frame: Frame| {
            frame.between(f.client(), f.backend(1)).macs(EGRESS_MAC, backend_mac(1)).hop_limit(62)
        };
        rows.push(
            Row::new(format!("{} dnat: the port stays", f.name()), state)
                .redirects(
                    first(datagram()),
                    translated(first(datagram())),
                    Delta::forwarded(1).event(Event::TrackedHit).event(Event::FragmentLearnt),
                )
                .stores(fragment_forward(flow(f), ID, 1, Some((f.client(), f.backend(1)))))
                .redirects(second(datagram()), translated(second(datagram())), Delta::forwarded(1)),
        );
        for mode in [Mode::Nat, Mode::Dnat] {
            let name = format!("{} {}: the port changes", f.name(), mode.name());
            let partial = || Delta::outcome(Outcome::DropChecksumPartial);
            rows.push(
                Row::new(format!("{name}, there"), opened(f, mode))
                    .drops(first(datagram()), partial().event(Event::TrackedHit))
                    .drops(second(datagram()), Delta::outcome(Outcome::DropFragmentUnknown)),
            );
            let back = from_backend(f, mode, DATA).payload([3; 2_000]);
            rows.push(
                Row::new(format!("{name}, and back"), opened(f, mode))
                    .drops(first(back), partial())
                    .arrives_at(BACKEND_SIDE),
            );
        }
    }
    run(&rows);
}
