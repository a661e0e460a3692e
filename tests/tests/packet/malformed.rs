//! Headers that contradict themselves: dropped by name if for a VIP address, the host's otherwise.

use std::net::IpAddr;

use lb_common::{abi::Mode, verdict::Outcome};
use lb_tests::packet::{
    Delta, EGRESS_MAC, FAMILIES, Family, Frame, Row, State, V4, V6, VIP_PORT, backend_mac, ip, run,
};

fn tcp(family: Family, to: IpAddr) -> Frame {
    ip(family.client(), to).tcp(40_000, VIP_PORT).payload(b"data")
}

/// A name, how to break a packet, and the drop that follows.
type Damage = (&'static str, fn(Frame) -> Frame, Outcome);

const DAMAGES4: &[Damage] = &[
    ("version 0", |f| f.patch(0, &[0x05]), Outcome::DropBadHeader),
    ("version 6", |f| f.patch(0, &[0x65]), Outcome::DropBadHeader),
    ("version 15", |f| f.patch(0, &[0xf5]), Outcome::DropBadHeader),
    ("header length 0", |f| f.patch(0, &[0x40]), Outcome::DropBadHeader),
    ("header length 16", |f| f.patch(0, &[0x44]), Outcome::DropBadHeader),
    ("header length beyond total length", |f| f.patch(0, &[0x4f]), Outcome::DropBadHeader),
    ("total length 0", |f| f.patch(2, &[0, 0]), Outcome::DropBadHeader),
    ("total length 19", |f| f.patch(2, &[0, 19]), Outcome::DropBadHeader),
    ("total length of the header alone", |f| f.patch(2, &[0, 20]), Outcome::DropTruncated),
    ("total length that ends in the ports", |f| f.patch(2, &[0, 23]), Outcome::DropTruncated),
    ("total length that ends in the TCP header", |f| f.patch(2, &[0, 39]), Outcome::DropTruncated),
    ("total length one more than the frame", |f| f.patch(2, &[0, 45]), Outcome::DropBadHeader),
    ("total length 65535", |f| f.patch(2, &[0xff, 0xff]), Outcome::DropBadHeader),
];

const DAMAGES6: &[Damage] = &[
    ("version 0", |f| f.patch(0, &[0x00]), Outcome::DropBadHeader),
    ("version 4", |f| f.patch(0, &[0x40]), Outcome::DropBadHeader),
    ("version 15", |f| f.patch(0, &[0xf0]), Outcome::DropBadHeader),
    ("payload length 0 (a jumbogram)", |f| f.patch(4, &[0, 0]), Outcome::DropTruncated),
    ("payload length that ends in the ports", |f| f.patch(4, &[0, 3]), Outcome::DropTruncated),
    (
        "payload length that ends in the TCP header",
        |f| f.patch(4, &[0, 19]),
        Outcome::DropTruncated,
    ),
    ("payload length one more than the frame", |f| f.patch(4, &[0, 25]), Outcome::DropBadHeader),
    ("payload length 65535", |f| f.patch(4, &[0xff, 0xff]), Outcome::DropBadHeader),
];

#[test]
fn headers_that_lie_are_dropped_for_a_vip_and_passed_for_others() {
    let mut rows = Vec::new();
    for (f, damages) in [(V4, DAMAGES4), (V6, DAMAGES6)] {
        for mode in [Mode::L2Dsr, Mode::Tunnel, Mode::Nat] {
            for (what, damage, outcome) in damages {
                rows.push(
                    Row::new(
                        format!("{} {}: {what}", f.name(), mode.name()),
                        State::one_backend(f, mode),
                    )
                    .drops(damage(tcp(f, f.vip())), Delta::outcome(*outcome)),
                );
            }
        }
        for (what, damage, _) in damages {
            rows.push(
                Row::new(
                    format!("{}: {what}, to no VIP", f.name()),
                    State::one_backend(f, Mode::L2Dsr),
                )
                .passes(damage(tcp(f, f.stranger())), Delta::outcome(Outcome::PassMalformed)),
            );
        }
        rows.push(
            Row::new(
                format!("{}: UDP cut in its header", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .drops(
                ip(f.client(), f.vip()).protocol(17).payload([0x9c, 0x40, 0, 80, 0, 0, 0]),
                Delta::outcome(Outcome::DropTruncated),
            ),
        );
        rows.push(
            Row::new(
                format!("{}: ICMP of no bytes, with padding", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .drops(
                ip(f.client(), f.vip()).protocol(f.icmp()).trailer(&[0; 26]),
                Delta::outcome(Outcome::DropTruncated),
            ),
        );
        rows.push(
            Row::new(
                format!("{}: an echo request of four bytes", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .drops(
                ip(f.client(), f.vip()).protocol(f.icmp()).payload([f.echo().0, 0, 0, 0]),
                Delta::outcome(Outcome::DropTruncated),
            ),
        );
        rows.push(
            Row::new(format!("{}: a VIP port at an address without marker passes", f.name()), {
                State::empty()
                    .vip(0, (f.vip(), VIP_PORT), 6, Mode::L2Dsr, 0)
                    .backend(1, f, Mode::L2Dsr)
                    .ring(0, &[1])
            })
            .passes(
                ip(f.client(), f.vip()).protocol(6).payload([0; 19]),
                Delta::outcome(Outcome::PassMalformed),
            ),
        );
    }
    run(&rows);
}

#[test]
fn a_frame_shorter_than_its_headers_passes() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let end = 14 + f.header_bytes();
        for length in [14, 15, 14 + f.header_bytes() / 2, end - 1] {
            rows.push(
                Row::new(
                    format!("{}: cut to {length} bytes", f.name()),
                    State::one_backend(f, Mode::L2Dsr),
                )
                .passes(tcp(f, f.vip()).cut(length), Delta::outcome(Outcome::PassMalformed)),
            );
        }
        for length in [14, 16, 17] {
            rows.push(
                Row::new(
                    format!("{}: cut to {length} bytes, in its VLAN tag", f.name()),
                    State::one_backend(f, Mode::L2Dsr),
                )
                .passes(
                    tcp(f, f.vip()).tag(0x8100, 1).cut(length),
                    Delta::outcome(Outcome::PassMalformed),
                ),
            );
        }
        rows.push(
            Row::new(
                format!("{}: cut in the second tag", f.name()),
                State::one_backend(f, Mode::L2Dsr),
            )
            .passes(
                tcp(f, f.vip()).tag(0x88a8, 1).tag(0x8100, 1).cut(20),
                Delta::outcome(Outcome::PassMalformed),
            ),
        );
    }
    run(&rows);
}

#[test]
fn lies_that_do_not_concern_the_balancer_are_forwarded_as_they_are() {
    let mut rows = Vec::new();
    for f in FAMILIES {
        let l4 = f.header_bytes();
        let udp = || ip(f.client(), f.vip()).udp(40_000, VIP_PORT).payload(b"data");
        for (what, input) in [
            ("TCP data offset 0", tcp(f, f.vip()).patch(l4 + 12, &[0x00])),
            ("TCP data offset beyond the packet", tcp(f, f.vip()).patch(l4 + 12, &[0xf0])),
            ("every TCP flag set", tcp(f, f.vip()).flags(0xff)),
            ("no TCP flag set", tcp(f, f.vip()).flags(0)),
            ("SYN and FIN set", tcp(f, f.vip()).flags(3)),
            ("a wrong TCP checksum", tcp(f, f.vip()).patch(l4 + 16, &[0xde, 0xad])),
            ("a wrong UDP checksum", udp().udp_checksum(0xdead)),
            ("UDP length 0", udp().patch(l4 + 4, &[0, 0])),
            ("UDP length less than its header", udp().patch(l4 + 4, &[0, 7])),
            ("UDP length beyond the packet", udp().patch(l4 + 4, &[0xff, 0xff])),
        ] {
            let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
            rows.push(
                Row::new(format!("{}: {what}", f.name()), State::one_backend(f, Mode::L2Dsr))
                    .redirects(input, output, Delta::forwarded(1)),
            );
        }
    }
    let input = tcp(V4, V4.vip()).patch(10, &[0xbe, 0xef]);
    let output = input.clone().macs(EGRESS_MAC, backend_mac(1));
    rows.push(
        Row::new("IPv4: a wrong header checksum is the backend's to judge", {
            State::one_backend(V4, Mode::L2Dsr)
        })
        .redirects(input, output, Delta::forwarded(1)),
    );
    run(&rows);
}
