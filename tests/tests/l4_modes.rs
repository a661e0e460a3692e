//! Real traffic through the real lbd in every forwarding mode: who answers, and what is on the
//! wire. Needs root.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may fail the test"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lb_tests::capture::{Capture, CapturedPacket, IpPacket};
use lb_tests::client::{Protocol, Tally};
use lb_tests::lab::{Family, MacAddress};
use lb_tests::services::{INTERFACES, Mode, configuration, expected_share};
use lb_tests::site::Site;
use lb_tests::wait::eventually;

const LIMIT: Duration = Duration::from_secs(30);
/// Connections, and exchanges, for each mode and family.
const COUNT: u64 = 300;
/// Of these, what must have reached the first backend at least: its share is a quarter.
const FIRST_COUNT_MIN: usize = 30;
/// Bytes of a datagram that takes three fragments.
const FRAGMENTED_BYTES: usize = 4096;
/// Exchanges of such datagrams: that a share of a quarter gets none of them by chance has a
/// probability below 1e-12.
const FRAGMENTED_COUNT: u64 = 120;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What a packet is that a capture has to show.
type Wanted = fn(IpPacket<'_>) -> bool;
const BOTH_PROTOCOLS: [Wanted; 2] = [|it| it.protocol == TCP, |it| it.protocol == UDP];
const FRAGMENTS_TOO: [Wanted; 3] =
    [|it| it.protocol == TCP, |it| it.protocol == UDP, |it| it.is_fragment];

#[test]
fn layer_2_dsr_changes_nothing_but_the_mac_addresses() {
    let site = Site::start(configuration).unwrap();
    assert_eq!(site.daemon.native_interfaces().unwrap(), INTERFACES);
    for family in Family::BOTH {
        let vip = Mode::L2dsr.vip(family);
        let packets = capture_on_b1(&site, &to(vip), &FRAGMENTS_TOO, |site| {
            balance(site, Mode::L2dsr, family);
        });
        assert_frames_go_from_the_router_to_b1(&site, &packets);
        for packet in &packets {
            assert_eq!(packet.ip().unwrap().destination, vip);
            assert_is_from_a_client(&site, packet.ip().unwrap(), family);
        }
    }
}

#[test]
fn a_tunnel_packet_holds_the_clients_and_comes_from_spread_sources() {
    let site = Site::start(configuration).unwrap();
    for family in Family::BOTH {
        let vip = Mode::Tunnel.vip(family);
        let b1 = site.lab.backend(1).unwrap().address(family);
        // The program on b1 unpacks before tcpdump looks: the outer header is on its link.
        let filter = match family {
            Family::V4 => format!("dst host {b1} and ip proto 4"),
            Family::V6 => format!("dst host {b1} and ip6 proto 41"),
        };
        let link = Capture::start(site.lab.switch(), "p1", &filter).unwrap();
        let unpacked = capture_on_b1(&site, &to(vip), &BOTH_PROTOCOLS, |site| {
            balance(site, Mode::Tunnel, family);
        });
        for packet in &unpacked {
            assert_eq!(packet.ip().unwrap().destination, vip);
            assert_is_from_a_client(&site, packet.ip().unwrap(), family);
        }
        let outer_sources = |packets: &[CapturedPacket]| {
            packets.iter().map(|packet| packet.ip().unwrap().source).collect::<BTreeSet<_>>()
        };
        eventually(LIMIT, "tunnel packets of many sources", || {
            let sources = outer_sources(&link.packets().unwrap());
            (sources.len() >= FIRST_COUNT_MIN).then_some(())
        })
        .unwrap();
        let packed = link.stop().unwrap();
        assert_frames_go_from_the_router_to_b1(&site, &packed);
        for packet in &packed {
            let outer = packet.ip().unwrap();
            let inner = outer.inner().unwrap();
            assert_eq!((outer.destination, inner.destination), (b1, vip));
            assert_is_from_a_client(&site, inner, family);
        }
    }
}

#[test]
fn full_nat_shows_the_backend_the_router_and_its_own_address() {
    let site = Site::start(configuration).unwrap();
    for family in Family::BOTH {
        let b1 = site.lab.backend(1).unwrap().address(family);
        let router = match family {
            Family::V4 => IpAddr::from([10, 2, 0, 1]),
            Family::V6 => IpAddr::from([0xfd02, 0, 0, 0, 0, 0, 0, 1]),
        };
        // Not the health probes, whose source ports are the kernel's.
        let packets = capture_on_b1(&site, &from_nat_port(family), &BOTH_PROTOCOLS, |site| {
            balance(site, Mode::Nat, family);
        });
        assert_frames_go_from_the_router_to_b1(&site, &packets);
        for packet in &packets {
            let ip = packet.ip().unwrap();
            assert_eq!((ip.source, ip.destination), (router, b1));
        }
    }
}

#[test]
fn destination_nat_keeps_the_clients_address() {
    let site = Site::start(configuration).unwrap();
    for family in Family::BOTH {
        let b1 = site.lab.backend(1).unwrap().address(family);
        let net = match family {
            Family::V4 => "src net 10.1.0.0/24",
            Family::V6 => "src net fd01::/64",
        };
        let packets = capture_on_b1(&site, net, &FRAGMENTS_TOO, |site| {
            balance(site, Mode::Dnat, family);
        });
        assert_frames_go_from_the_router_to_b1(&site, &packets);
        for packet in &packets {
            assert_eq!(packet.ip().unwrap().destination, b1);
            assert_is_from_a_client(&site, packet.ip().unwrap(), family);
        }
    }
}

#[test]
fn a_vip_answers_echo_requests_before_the_stack_sees_them() {
    let site = Site::start(configuration).unwrap();
    let answered = || site.counters().unwrap()["echo_answered"];
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let (vip, before) = (mode.vip(family).to_string(), answered());
            let ping = ["ping", "-n", "-i", "0.01", "-W", "10", "-c", "5"];
            site.lab.client().run(&[&ping[..], &[&vip]].concat()).unwrap();
            assert_eq!(answered() - before, 5, "{vip}");
        }
    }
}

/// Runs connections and exchanges, small and fragmented, and checks who answered and whom the
/// backends saw.
fn balance(site: &Site, mode: Mode, family: Family) {
    let udp = mode.target(family, Protocol::Udp);
    let tcp = mode.target(family, Protocol::Tcp);
    let before = site.counters().unwrap();
    let runs = [
        site.talk(Protocol::Tcp, tcp, COUNT),
        site.talk(Protocol::Udp, udp, COUNT),
        site.exchange(udp, FRAGMENTED_COUNT, FRAGMENTED_BYTES),
    ];
    let mut all = Tally::default();
    for run in runs {
        let run = run.unwrap();
        assert_eq!(run.failures, [], "{mode} {family}");
        all.merge(run);
    }
    assert_eq!(all.total, 2 * COUNT + FRAGMENTED_COUNT);
    assert_shares(site, &all);
    for answer in &all.answers {
        assert_eq!(answer.local == answer.seen_source, mode.keeps_source(), "{answer:?}");
    }
    let after = site.counters().unwrap();
    let grown = |name: &str| after[name] - before[name];
    // At least SYN, ACK, data and FIN; a datagram; three fragments.
    assert!(grown("forwarded") >= 4 * COUNT + COUNT + 3 * FRAGMENTED_COUNT, "{mode} {family}");
    let is_nat = matches!(mode, Mode::Nat | Mode::Dnat);
    assert_eq!(grown("replied") >= 3 * COUNT + COUNT + 3 * FRAGMENTED_COUNT, is_nat);
    let dropped: Vec<_> =
        after.iter().filter(|(name, _)| name.starts_with("drop_") && grown(name) > 0).collect();
    assert!(dropped.is_empty(), "{mode} {family}: {dropped:?}");
}

/// Seven standard deviations of flows that each choose by chance: more has a probability below 1e-11.
fn assert_shares(site: &Site, tally: &Tally) {
    for (index, backend) in site.lab.backends().iter().enumerate() {
        let (share, expected) = (tally.share(backend.name()), expected_share(index, None));
        let deviation = (expected * (1.0 - expected) / tally.success_count() as f64).sqrt();
        assert!((share - expected).abs() < 7.0 * deviation + 0.01, "{tally:?}");
    }
}

/// The packets that reach b1 while `traffic` runs, at least one of each kind that is wanted.
fn capture_on_b1(
    site: &Site,
    filter: &str,
    wanted: &[Wanted],
    traffic: impl FnOnce(&Site),
) -> Vec<CapturedPacket> {
    let filter = format!("({filter}) and ether dst {}", b1_mac(site));
    let capture = Capture::start(site.lab.backend(1).unwrap(), "eth0", &filter).unwrap();
    traffic(site);
    // tcpdump reads in its own time what has come already.
    for (number, is_wanted) in wanted.iter().enumerate() {
        let of = |packet: &CapturedPacket| is_wanted(packet.ip().unwrap());
        capture.wait_for(LIMIT, &format!("packet {number} of those wanted"), of).unwrap();
    }
    eventually(LIMIT, "many packets", || {
        (capture.packets().unwrap().len() >= FIRST_COUNT_MIN).then_some(())
    })
    .unwrap();
    capture.stop().unwrap()
}

fn to(vip: IpAddr) -> String {
    format!("dst host {vip}")
}

/// Packets from the ports that full NAT takes, of the router's own address.
fn from_nat_port(family: Family) -> String {
    let (router, ip) = match family {
        Family::V4 => ("10.2.0.1", "ip"),
        Family::V6 => ("fd02::1", "ip6"),
    };
    format!("{ip} and src host {router} and src portrange 1024-32767")
}

fn assert_is_from_a_client(site: &Site, packet: IpPacket<'_>, family: Family) {
    assert!(site.lab.client().addresses(family).contains(&packet.source), "{packet:?}");
}

fn assert_frames_go_from_the_router_to_b1(site: &Site, packets: &[CapturedPacket]) {
    let expected = (site.lab.router().mac("b0").ok(), Some(b1_mac(site)));
    for packet in packets {
        assert_eq!((packet.source(), packet.destination()), expected);
    }
}

fn b1_mac(site: &Site) -> MacAddress {
    site.lab.backend(1).unwrap().mac("eth0").unwrap()
}
