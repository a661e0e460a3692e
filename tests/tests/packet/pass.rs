//! What is not for a VIP passes to the host's stack, untouched.

use lb_common::{abi::Mode, verdict::Outcome};
use lb_tests::packet::{
    Delta, FAMILIES, Family, Frame, Row, State, TCP, V4, V6, VIP_PORT, ip, run,
};

fn web(family: Family) -> Frame {
    ip(family.client(), family.vip()).tcp(40_000, VIP_PORT).payload(b"hello")
}

/// A frame of this EtherType; what follows is never looked at.
fn ethertype(value: u16) -> Frame {
    web(V4).tag(value, 0)
}

#[test]
fn frames_that_are_not_ip_pass() {
    let state = || State::one_backend(V4, Mode::L2Dsr);
    let not_ip = || Delta::outcome(Outcome::PassNotIp);
    let rows: Vec<Row> = [
        ("ARP", 0x0806),
        ("LLDP", 0x88cc),
        ("PPPoE", 0x8864),
        ("MPLS", 0x8847),
        ("an 802.3 length field", 0x0026),
        ("the old QinQ type 0x9100, which is not understood", 0x9100),
    ]
    .into_iter()
    .map(|(name, value)| {
        Row::new(format!("{name} passes"), state()).passes(ethertype(value), not_ip())
    })
    .chain([
        Row::new("three tags are more than understood: passes, even to a VIP", state())
            .passes(web(V4).tag(0x88a8, 1).tag(0x8100, 2).tag(0x8100, 3), not_ip()),
        Row::new("a tagged ARP frame passes", state())
            .passes(web(V4).tag(0x8100, 7).tag(0x0806, 0), not_ip()),
    ])
    .collect();
    run(&rows);
}

#[test]
fn packets_to_other_addresses_ports_and_protocols_pass() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let name = f.name();
        let state = || State::one_backend(f, Mode::L2Dsr);
        let not_vip = || Delta::outcome(Outcome::PassNotVip);
        let row = |what: &str| Row::new(format!("{name}: {what} passes"), state());
        rows.extend([
            row("TCP to an address that is no VIP")
                .passes(ip(f.client(), f.stranger()).tcp(1, VIP_PORT), not_vip()),
            row("UDP to an address that is no VIP")
                .passes(ip(f.client(), f.stranger()).udp(1, VIP_PORT), not_vip()),
            row("TCP to another port of the VIP's address")
                .passes(ip(f.client(), f.vip()).tcp(1, 81), not_vip()),
            row("UDP to another port of the VIP's address")
                .passes(ip(f.client(), f.vip()).udp(1, 81), not_vip()),
            row("a packet from the VIP itself")
                .passes(ip(f.vip(), f.client()).tcp(VIP_PORT, 40_000), not_vip()),
            row("ESP to the VIP's address")
                .passes(ip(f.client(), f.vip()).protocol(50).payload([1; 32]), not_vip()),
            row("SCTP to another port of the VIP's address")
                .passes(ip(f.client(), f.vip()).protocol(132).payload([1; 32]), not_vip()),
            row("echo request to an address that is no VIP").passes(
                ip(f.client(), f.stranger()).icmp(f.echo().0, 0, 0x0001_0001).payload([7; 56]),
                not_vip(),
            ),
            row("a tagged packet to no VIP").passes(
                ip(f.client(), f.stranger()).tcp(1, VIP_PORT).tag(0x8100, 0x2064),
                not_vip(),
            ),
            row("a short packet with Ethernet padding, to no VIP")
                .passes(ip(f.client(), f.stranger()).udp(1, 2).trailer(&[0; 18]), not_vip()),
            Row::new(format!("{name}: a UDP packet where only TCP is a VIP passes"), {
                State::empty()
                    .vip(0, (f.vip(), VIP_PORT), TCP, Mode::L2Dsr, 0)
                    .marker(f)
                    .backend(1, f, Mode::L2Dsr)
                    .ring(0, &[1])
            })
            .passes(ip(f.client(), f.vip()).udp(1, VIP_PORT), not_vip()),
            Row::new(format!("{name}: with empty maps everything passes"), State::empty())
                .passes(web(f), not_vip()),
        ]);
    }
    run(&rows);
}

#[test]
fn a_vip_of_one_family_says_nothing_about_the_other() {
    let rows = [(V4, V6), (V6, V4)].map(|(vip, packet)| {
        let text = format!("{} packet with {} VIPs only passes", packet.name(), vip.name());
        Row::new(text, State::one_backend(vip, Mode::L2Dsr))
            .passes(web(packet), Delta::outcome(Outcome::PassNotVip))
    });
    run(&rows);
}
