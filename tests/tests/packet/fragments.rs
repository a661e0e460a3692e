//! Fragments: the first one has the ports and decides, later ones follow it.

use lb_common::{
    abi::{BackendState, Mode},
    verdict::{Event, Outcome},
};
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_MAC, CLIENT_PORT, Delta, EGRESS_MAC, FAMILIES, Family, Flow, Frame,
    NAT_PORT, ROUTER_MAC, Row, State, Stored, V4, V6, VIP_PORT, backend_mac, fragment_forward,
    fragment_reply, ip, nat_flow, nat_reply, run,
};

const ID: u32 = 0x1234;
/// Bytes of the first fragment's payload; the rest of a datagram is in the second.
const FIRST: usize = 1_000;

fn flow(family: Family) -> Flow {
    Flow::udp((family.client(), CLIENT_PORT), (family.vip(), VIP_PORT))
}

/// A datagram of 2,008 bytes from the client to the VIP.
fn datagram(family: Family) -> Frame {
    let payload: Vec<u8> = (0..2_000_u32).map(|i| (i / 7) as u8).collect();
    ip(family.client(), family.vip()).udp(CLIENT_PORT, VIP_PORT).payload(payload)
}

fn first(frame: Frame) -> Frame {
    frame.fragment(ID, 0, FIRST)
}

fn second(frame: Frame) -> Frame {
    frame.fragment(ID, FIRST, usize::MAX - FIRST)
}

/// What backend 1 gets, by modes that leave the packet alone.
fn delivered(frame: Frame, family: Family, mode: Mode) -> Frame {
    let frame = frame.macs(EGRESS_MAC, backend_mac(1));
    match mode {
        Mode::Tunnel => frame.inside(family.outer(1)),
        _ => frame,
    }
}

fn plain_modes() -> impl Iterator<Item = (Family, Mode, String)> {
    FAMILIES.into_iter().flat_map(|f| {
        [Mode::L2Dsr, Mode::Tunnel].map(|mode| (f, mode, format!("{} {}", f.name(), mode.name())))
    })
}

#[test]
fn the_first_is_forwarded_by_its_ports_and_later_ones_follow() {
    let mut rows = Vec::new();
    for (f, mode, name) in plain_modes() {
        let state = || State::one_backend(f, mode);
        let learnt = fragment_forward(flow(f), ID, 1, None);
        let (one, two) = (first(datagram(f)), second(datagram(f)));
        let new = || Delta::forwarded(1).event(Event::FragmentLearnt);
        let to = |frame: &Frame| delivered(frame.clone(), f, mode);
        rows.extend([
            Row::new(format!("{name}: the first is forwarded and learnt"), state())
                .redirects(one.clone(), to(&one), new())
                .stores(learnt.clone()),
            Row::new(format!("{name}: a later one follows"), state().with(learnt.clone().fresh()))
                .redirects(two.clone(), to(&two), Delta::forwarded(1)),
            Row::new(format!("{name}: both in turn"), state())
                .redirects(one.clone(), to(&one), new())
                .stores(learnt.clone())
                .redirects(two.clone(), to(&two), Delta::forwarded(1)),
            Row::new(
                format!("{name}: a later one follows though the ring says another backend"),
                state().backend(2, f, mode).ring(0, &[2]).with(learnt.clone().fresh()),
            )
            .redirects(two.clone(), to(&two), Delta::forwarded(1)),
            Row::new(
                format!("{name}: a later one follows to a draining backend"),
                state().life(1, BackendState::Draining).with(learnt.clone().fresh()),
            )
            .redirects(two.clone(), to(&two), Delta::forwarded(1)),
        ]);
        let tcp = ip(f.client(), f.vip()).tcp(CLIENT_PORT, VIP_PORT).payload([1; 1_500]);
        let one = first(tcp);
        rows.push(
            Row::new(format!("{name}: TCP in fragments"), state())
                .redirects(one.clone(), to(&one), new())
                .stores(fragment_forward(Flow { protocol: 6, ..flow(f) }, ID, 1, None)),
        );
    }
    run(&rows);
}

#[test]
fn a_fragment_whose_first_was_not_seen_has_a_name() {
    let mut rows = Vec::new();
    for (f, mode, name) in plain_modes() {
        let state = || State::one_backend(f, mode);
        let unknown = || Delta::outcome(Outcome::DropFragmentUnknown);
        let learnt = |id| fragment_forward(flow(f), id, 1, None);
        let two = || second(datagram(f));
        let row = |what: &str, state: State| Row::new(format!("{name}: {what}"), state);
        rows.extend([
            row("nothing was learnt", state()).drops(two(), unknown()),
            row("another datagram was learnt", state().with(learnt(ID + 1).fresh()))
                .drops(two(), unknown()),
            row("another client's datagram was learnt", {
                let other = Flow::udp((f.other_client(), CLIENT_PORT), (f.vip(), VIP_PORT));
                state().with(fragment_forward(other, ID, 1, None).fresh())
            })
            .drops(two(), unknown()),
            row("it was learnt too long ago", state().with(learnt(ID))).drops(two(), unknown()),
            row("its backend died", state().life(1, BackendState::Down).with(learnt(ID).fresh()))
                .drops(two(), Delta::outcome(Outcome::DropBackendStale)),
            row("its backend's index has another occupant", {
                state().change(1, |b| b.id.0 |= 3 << 17).with(learnt(ID).fresh())
            })
            .drops(two(), Delta::outcome(Outcome::DropBackendStale)),
            row("not to a VIP address: passes", state()).passes(
                second(ip(f.client(), f.stranger()).udp(1, VIP_PORT).payload([2; 1_200])),
                Delta::outcome(Outcome::PassNotVip),
            ),
            row("a first one to no VIP passes and teaches nothing", state()).passes(
                first(ip(f.client(), f.stranger()).udp(1, VIP_PORT).payload([2; 1_200])),
                Delta::outcome(Outcome::PassNotVip),
            ),
            row("a first one without room for the ports", state())
                .drops(datagram(f).fragment(ID, 0, 0), Delta::outcome(Outcome::DropTruncated)),
            row("a first one of a service without backends", State::service(f, mode).ring(0, &[0]))
                .drops(first(datagram(f)), Delta::outcome(Outcome::DropNoBackend)),
        ]);
    }
    run(&rows);
}

fn nat_records(family: Family) -> [Stored; 2] {
    let reply = Flow::udp((family.backend(1), VIP_PORT), (family.router(), NAT_PORT));
    [nat_flow(flow(family), 1, (family.router(), NAT_PORT)), nat_reply(reply, 1, flow(family))]
}

#[test]
fn fragments_are_translated_in_both_directions() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let [forward, reverse] = nat_records(f);
        let payload: Vec<u8> = (0..2_000_u32).map(|i| (i / 7) as u8).collect();
        let to_backend = ip(f.router(), f.backend(1))
            .udp(NAT_PORT, VIP_PORT)
            .payload(&payload)
            .macs(EGRESS_MAC, backend_mac(1))
            .hop_limit(62);
        let learnt = fragment_forward(flow(f), ID, 1, Some((f.router(), f.backend(1))));
        rows.push(
            Row::new(format!("{name} nat: a new flow's first fragment, then its second"), {
                State::one_backend(f, Mode::Nat)
            })
            .redirects(
                first(datagram(f)),
                first(to_backend.clone()),
                Delta::forwarded(1).event(Event::FlowOpened).event(Event::FragmentLearnt),
            )
            .stores(forward.clone())
            .stores(reverse.clone())
            .stores(learnt)
            .redirects(second(datagram(f)), second(to_backend), Delta::forwarded(1)),
        );
        let from_backend = ip(f.backend(1), f.router())
            .udp(VIP_PORT, NAT_PORT)
            .payload(&payload)
            .macs(backend_mac(1), EGRESS_MAC);
        let to_client = ip(f.vip(), f.client())
            .udp(VIP_PORT, CLIENT_PORT)
            .payload(&payload)
            .macs(ROUTER_MAC, CLIENT_MAC)
            .hop_limit(62);
        let back = Flow::udp((f.backend(1), VIP_PORT), (f.router(), NAT_PORT));
        rows.push(
            Row::new(format!("{name} nat: a reply's first fragment, then its second"), {
                State::one_backend(f, Mode::Nat).with(forward).with(reverse)
            })
            .redirects(
                first(from_backend.clone()),
                first(to_client.clone()),
                Delta::replied(1).event(Event::FragmentLearnt),
            )
            .arrives_at(BACKEND_SIDE)
            .stores(fragment_reply(back, ID, 1, (f.vip(), f.client())))
            .redirects(second(from_backend.clone()), second(to_client), Delta::replied(1))
            .arrives_at(BACKEND_SIDE),
        );
        rows.push(
            Row::new(format!("{name} nat: a later fragment of no known reply passes"), {
                State::one_backend(f, Mode::Nat)
            })
            .passes(second(from_backend), Delta::outcome(Outcome::PassNotVip))
            .arrives_at(BACKEND_SIDE),
        );
        let spent = fragment_forward(flow(f), ID, 1, Some((f.router(), f.backend(1)))).fresh();
        rows.push(
            Row::new(format!("{name} nat: a later fragment whose hop limit is used up"), {
                State::one_backend(f, Mode::Nat).with(spent)
            })
            .drops(second(datagram(f)).hop_limit(1), Delta::outcome(Outcome::DropTtlExpired)),
        );
    }
    run(&rows);
}

#[test]
fn corner_cases_of_each_family() {
    let state = |f| State::one_backend(f, Mode::L2Dsr);
    let options = |frame: Frame| {
        // The fragmentable part starts with destination options: the header in front of it names
        // them, not UDP, in every fragment.
        let whole = frame.packet();
        let udp = &whole[40..];
        let part = [&[17, 0, 1, 4, 0, 0, 0, 0], udp].concat();
        ip(V6.client(), V6.vip()).protocol(60).payload(part)
    };
    let (one, two) = (first(options(datagram(V6))), second(options(datagram(V6))));
    let atomic = datagram(V6).payload(b"whole").fragment(ID, 0, 13);
    let both = |frame: &Frame| delivered(frame.clone(), V6, Mode::L2Dsr);
    let overlapping = fragment_forward(flow(V4), ID, 1, None).fresh();
    run(&[
        Row::new("IPv6: an atomic fragment (RFC 6946) is a whole packet", state(V6)).redirects(
            atomic.clone(),
            both(&atomic),
            Delta::forwarded(1),
        ),
        Row::new("IPv6: destination options in the fragmentable part, the second", state(V6))
            .step(
                one.clone(),
                lb_tests::packet::Verdict::Redirect,
                lb_tests::packet::Output::Frame(Box::new(both(&one))),
                Delta::forwarded(1).event(Event::FragmentLearnt),
            )
            .stores(fragment_forward(flow(V6), ID, 1, None))
            .redirects(two.clone(), both(&two), Delta::forwarded(1)),
        Row::new("IPv4: the same identification of TCP is another datagram", {
            state(V4).with(overlapping)
        })
        .drops(
            second(ip(V4.client(), V4.vip()).tcp(1, VIP_PORT).payload([0; 1_200])),
            Delta::outcome(Outcome::DropFragmentUnknown),
        ),
    ]);
}
