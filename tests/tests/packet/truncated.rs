//! Every valid packet cut at every length: never a failure of the program, always exactly one
//! count, and never forwarded with less than its headers.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; a table is as long as its rows"
)]

use lb_common::abi::Mode;
use lb_tests::packet::{
    BACKEND_SIDE, CLIENT_PORT, CLIENT_SIDE, FAMILIES, Family, Flow, Frame, Machine, NAT_PORT,
    State, V4, V6, VIP_PORT, Verdict, describe, ip, moved, nat_flow, nat_reply, on_each_machine,
    packets_counted,
};

fn to_vip(family: Family) -> Frame {
    ip(family.client(), family.vip())
}

/// Name, frame and how many of its bytes may not be missing if it is forwarded.
fn frames(f: Family) -> Vec<(&'static str, Frame)> {
    let tcp = || to_vip(f).tcp(CLIENT_PORT, VIP_PORT).payload(b"payload");
    let udp = || to_vip(f).udp(CLIENT_PORT, VIP_PORT).payload(b"payload");
    let (request, _) = f.echo();
    let sent = ip(f.vip(), f.client()).tcp(VIP_PORT, CLIENT_PORT).packet();
    let reply = ip(f.backend(1), f.router()).tcp(VIP_PORT, NAT_PORT).payload(b"reply");
    let about = ip(f.router(), f.backend(1)).tcp(NAT_PORT, VIP_PORT).packet();
    let unreachable = if f == V4 { 3 } else { 1 };
    let mut all = vec![
        ("TCP", tcp()),
        ("SYN", tcp().syn()),
        ("UDP", udp()),
        ("TCP in a VLAN", tcp().tag(0x8100, 1)),
        ("UDP in QinQ", udp().tag(0x88a8, 1).tag(0x8100, 2)),
        ("echo request", to_vip(f).icmp(request, 0, 1).payload([7; 16])),
        ("error", ip(f.stranger(), f.vip()).icmp(unreachable, 0, 0).payload(sent)),
        ("first fragment", udp().payload([1; 64]).fragment(3, 0, 32)),
        ("later fragment", udp().payload([1; 64]).fragment(3, 32, 40)),
        ("reply", reply),
        (
            "error about a reply",
            ip(f.backend(1), f.router()).icmp(unreachable, 3, 0).payload(about),
        ),
        ("not for us", ip(f.client(), f.stranger()).tcp(1, 2).payload(b"payload")),
    ];
    match f {
        V4 => all.push(("TCP with options", tcp().options(&[1; 12]))),
        V6 => all.extend([
            (
                "TCP behind extensions",
                tcp()
                    .extension(0, &[1, 4, 0, 0, 0, 0])
                    .extension(60, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                "echo request behind an extension",
                to_vip(f).icmp(128, 0, 1).extension(60, &[1, 4, 0, 0, 0, 0]),
            ),
        ]),
    }
    all
}

fn state(f: Family, mode: Mode, outer: Family) -> State {
    let flow = Flow::tcp((f.client(), CLIENT_PORT), (f.vip(), VIP_PORT));
    let state = State::service(f, mode).backend(1, outer, mode).ring(0, &[1]);
    match mode {
        Mode::Nat => state.with(nat_flow(flow, 1, (f.router(), NAT_PORT))).with(nat_reply(
            Flow::tcp((f.backend(1), VIP_PORT), (f.router(), NAT_PORT)),
            1,
            flow,
        )),
        _ => state,
    }
}

#[test]
fn every_packet_cut_at_every_length_counts_once() {
    on_each_machine(|place, machine| {
        let mut rows = 0;
        for (f, mode, outer) in FAMILIES.into_iter().flat_map(|f| {
            [
                (f, Mode::L2Dsr, f),
                (f, Mode::Tunnel, V4),
                (f, Mode::Tunnel, V6),
                (f, Mode::Nat, f),
                (f, Mode::Dnat, f),
            ]
        }) {
            machine.set(&state(f, mode, outer)).unwrap();
            for (name, frame) in frames(f) {
                rows +=
                    cut(machine, &format!("{place} {} {} {name}", f.name(), mode.name()), &frame);
            }
        }
        println!("{rows} rows {place}");
    });
}

/// Runs every prefix of a frame; returns how many.
fn cut(machine: &mut dyn Machine, name: &str, frame: &Frame) -> usize {
    let whole = frame.bytes();
    let ifindex = if name.contains("reply") { BACKEND_SIDE } else { CLIENT_SIDE };
    let mut before = machine.counters().unwrap();
    for length in machine.shortest_bytes()..=whole.len() {
        let ran = machine.run(&whole[..length], ifindex).unwrap();
        let after = machine.counters().unwrap();
        let moves = moved(&before, &after);
        before = after;
        let context = || {
            let text = describe(&ran.frame).join("\n  ");
            format!(
                "{name} cut to {length} of {}: {:?} {moves:?}\n  {text}",
                whole.len(),
                ran.verdict
            )
        };
        assert_ne!(ran.verdict, Verdict::Aborted, "{}", context());
        assert_eq!(packets_counted(&moves), 1, "{}", context());
        let bytes: u64 =
            moves.iter().filter(|(name, _)| name.ends_with("bytes")).map(|(_, bytes)| bytes).sum();
        assert_eq!(bytes, length as u64, "{}", context());
        let complete = length == whole.len();
        let sent = matches!(ran.verdict, Verdict::Tx | Verdict::Redirect);
        assert!(complete || !sent, "a packet cut short was sent: {}", context());
        if ran.verdict == Verdict::Pass && !complete {
            assert_eq!(ran.frame, whole[..length], "{}", context());
        }
    }
    whole.len() + 1 - machine.shortest_bytes()
}
