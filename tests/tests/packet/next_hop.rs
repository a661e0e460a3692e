//! Where frames leave: the cached next hop, or the host's routes if none is cached.

use std::net::IpAddr;

use lb_common::{
    abi::{Mode, NextHop},
    verdict::Outcome,
};
use lb_tests::packet::{
    BACKEND_SIDE, Delta, EGRESS_MAC, FAMILIES, Family, GATEWAY_MAC, Outer, Row, State, VIP_PORT,
    backend_mac, ip, run, words,
};

/// One backend at `address` without a cached next hop.
fn uncached(family: Family, mode: Mode, address: IpAddr) -> State {
    State::one_backend(family, mode).change(1, |backend| {
        backend.address = words(address);
        backend.next_hop = NextHop::default();
    })
}

#[test]
fn without_a_cached_next_hop_the_routes_are_asked() {
    let mut rows = Vec::new();
    for (f, mode) in FAMILIES.into_iter().flat_map(|f| [(f, Mode::L2Dsr), (f, Mode::Tunnel)]) {
        let name = format!("{} {}", f.name(), mode.name());
        let input = || ip(f.client(), f.vip()).tcp(40_000, VIP_PORT).payload(b"data");
        let to = |address: IpAddr, mac| {
            let frame = input().macs(EGRESS_MAC, mac);
            match mode {
                Mode::Tunnel => frame.inside(Outer { destination: address, ..f.outer(1) }),
                _ => frame,
            }
        };
        let row =
            |what: &str, address| Row::new(format!("{name}: {what}"), uncached(f, mode, address));
        let (near, far) = (f.backend(1), f.remote_backend());
        rows.extend([
            row("a neighbour", near).redirects(
                input(),
                to(near, backend_mac(1)),
                Delta::forwarded(1),
            ),
            row("behind a gateway", far).redirects(
                input(),
                to(far, GATEWAY_MAC),
                Delta::forwarded(1),
            ),
            row("a neighbour where the packet comes from", near)
                .transmits(input(), to(near, backend_mac(1)), Delta::forwarded(1))
                .arrives_at(BACKEND_SIDE),
            row("a neighbour that is not known yet", f.backend(3))
                .drops(input(), Delta::outcome(Outcome::DropNoNeighbour)),
            row("no route", f.stranger()).drops(input(), Delta::outcome(Outcome::DropNoRoute)),
            row("a black hole", f.unreachable_backend())
                .drops(input(), Delta::outcome(Outcome::DropNoRoute)),
        ]);
    }
    run(&rows);
}

#[test]
fn a_cached_next_hop_is_used_whatever_the_routes_say() {
    let rows = FAMILIES.map(|f| {
        let state = State::one_backend(f, Mode::L2Dsr)
            .change(1, |backend| backend.address = words(f.unreachable_backend()));
        let input = ip(f.client(), f.vip()).tcp(40_000, VIP_PORT);
        Row::new(format!("{}: cached", f.name()), state).redirects(
            input.clone(),
            input.macs(EGRESS_MAC, backend_mac(1)),
            Delta::forwarded(1),
        )
    });
    run(&rows);
}
