//! The harness itself: if these fail, no other end-to-end test says anything.
//!
//! Needs root. No load balancer runs here: clients talk to backends through the plain router.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lb_tests::capture::Capture;
use lb_tests::client::{
    Close, FlowReport, LongLived, Protocol, Steady, SteadyPlan, TcpRun, UdpRun, tcp_connections,
    udp_exchanges,
};
use lb_tests::lab::{Family, Lab, Options, Process, State, VIPS, records, sweep};
use lb_tests::server::{Ports, Server};
use lb_tests::wait::{binary, eventually};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);

fn lab() -> Lab {
    Lab::up(&Options::default()).unwrap()
}

fn ports() -> Ports {
    Ports { tcp: vec![80], udp: vec![53], http: vec![8080] }
}

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// A route that sends a VIP to one backend, as DSR would.
fn route_vips_to_b1(lab: &Lab) {
    let b1 = lab.backend(1).unwrap();
    let lines: Vec<String> = VIPS
        .iter()
        .map(|vip| match vip {
            IpAddr::V4(vip) => format!("route add {vip} via {}", b1.address_v4()),
            IpAddr::V6(vip) => format!("route add {vip} via {}", b1.address_v6()),
        })
        .collect();
    lab.router().ip_batch(&lines).unwrap();
}

#[test]
fn every_host_reaches_every_other_in_both_families() {
    let lab = lab();
    for from in [lab.client(), lab.gateway(), lab.far(), lab.backend(1).unwrap()] {
        for to in [lab.client(), lab.gateway(), lab.far(), lab.backend(3).unwrap(), lab.router()] {
            for family in Family::BOTH {
                let address = to.address(family).to_string();
                from.run(&["ping", "-n", "-c", "1", "-W", "10", &address]).unwrap();
            }
        }
    }
}

#[test]
fn a_full_client_packet_fits_behind_the_router_with_a_tunnel_header() {
    let lab = lab();
    // 1572 bytes of ICMP payload and 28 of headers are a packet of 1600.
    let (router, b1) = (lab.router(), lab.backend(1).unwrap());
    let (far, b1) = (lab.far().address_v4().to_string(), b1.address_v4().to_string());
    for address in [&far, &b1] {
        let ping = |bytes: &str| {
            router.run(&["ping", "-n", "-M", "do", "-c", "1", "-W", "10", "-s", bytes, address])
        };
        ping("1572").unwrap();
        ping("1573").unwrap_err();
    }
}

#[test]
fn a_vip_is_unreachable_without_a_load_balancer() {
    let lab = lab();
    let _server = Server::start(lab.backend(1).unwrap(), &ports()).unwrap();
    let mut run = TcpRun::new(at(VIPS[0], 80), 1);
    run.timeout = Duration::from_millis(500);
    let tally = tcp_connections(lab.client(), &run).unwrap();
    assert_eq!((tally.success_count(), tally.failures.len()), (0, 1));
}

#[test]
fn a_backend_answers_from_the_vip_and_sees_the_client() {
    let lab = lab();
    route_vips_to_b1(&lab);
    let _server = Server::start(lab.backend(1).unwrap(), &ports()).unwrap();
    for vip in VIPS {
        let family = if vip.is_ipv4() { Family::V4 } else { Family::V6 };
        let sources = lab.client().addresses(family);
        for close in [Close::Fin, Close::Reset] {
            let mut run = TcpRun::new(at(vip, 80), 200);
            (run.close, run.sources, run.payload_bytes) = (close, sources.clone(), 10_000);
            let tally = tcp_connections(lab.client(), &run).unwrap();
            assert_eq!(tally.failures, []);
            assert_eq!(tally.per_backend, BTreeMap::from([("b1".to_owned(), 200)]));
            assert!(tally.answers.iter().all(|answer| answer.local == answer.seen_source));
            let seen: Vec<IpAddr> = tally.per_seen_source.keys().copied().collect();
            assert_eq!(seen, sources, "{vip}");
        }
        for payload_bytes in [0, 32, 4096, 8192] {
            let mut run = UdpRun::new(at(vip, 53), 100);
            (run.payload_bytes, run.sources) = (payload_bytes, sources.clone());
            // A veth keeps 256 packets for a processor that is busy: all fragments fit.
            run.parallel = 32;
            let tally = udp_exchanges(lab.client(), &run).unwrap();
            assert_eq!(tally.failures, [], "{payload_bytes} bytes to {vip}");
            assert_eq!(tally.per_backend, BTreeMap::from([("b1".to_owned(), 100)]));
        }
    }
}

#[test]
fn failures_are_told_apart_and_counted() {
    let lab = lab();
    let _server = Server::start(lab.backend(1).unwrap(), &ports()).unwrap();
    let b1 = lab.backend(1).unwrap().address_v4();
    let refused = tcp_connections(lab.client(), &TcpRun::new(at(b1, 81), 3)).unwrap();
    assert_eq!((refused.total, refused.failures.len()), (3, 3));
    assert!(refused.failures.iter().all(|failure| failure.step == "connect"));
    assert!(refused.failures[0].to_string().contains("refused"), "{:?}", refused.failures);
    let refused = udp_exchanges(lab.client(), &UdpRun::new(at(b1, 54), 3)).unwrap();
    assert_eq!((refused.total, refused.failures.len()), (3, 3));
    assert!(refused.failures.iter().all(|failure| failure.step == "answer"));
}

#[test]
fn thousands_of_connections_stay_open_at_once() {
    let lab = lab();
    let b1 = lab.backend(1).unwrap();
    let mut server = Server::start(b1, &ports()).unwrap();
    let target = at(b1.address_v4(), 80);
    let sources = lab.client().addresses(Family::V4);
    let mut open = LongLived::open(lab.client(), target, 2_000, &sources).unwrap();
    let pings = open.ping_all();
    assert_eq!(pings.len(), 2_000);
    let unanswered: Vec<_> = pings.iter().filter_map(|ping| ping.result.as_ref().err()).collect();
    assert!(unanswered.is_empty(), "{}, first: {:?}", unanswered.len(), unanswered.first());
    assert!(pings.iter().all(|ping| ping.backend == "b1"));
    assert_eq!(b1.tcp_retransmits().unwrap().len(), 2_000);
    server.kill().unwrap();
    assert!(open.ping_all().iter().all(|ping| ping.result.is_err()));
}

#[test]
fn steady_flows_are_whole_until_their_backend_dies() {
    let lab = lab();
    let (b1, b2) = (lab.backend(1).unwrap(), lab.backend(2).unwrap());
    let _first = Server::start(b1, &ports()).unwrap();
    let mut second = Server::start(b2, &ports()).unwrap();
    let plan = SteadyPlan::new(
        [b1, b2]
            .into_iter()
            .flat_map(|b| {
                Family::BOTH.map(|f| {
                    [(Protocol::Tcp, 80), (Protocol::Udp, 53)]
                        .map(|(p, port)| (p, at(b.address(f), port)))
                })
            })
            .flatten()
            .collect(),
    );
    let steady = Steady::start(lab.client(), &plan).unwrap();
    steady.wait_for_answers(2000, LIMIT).unwrap();
    let report = steady.stop().unwrap();
    assert_eq!(report.flows.len(), 8 * 20);
    assert_eq!(report.damaged().count(), 0, "{:?}", report.damaged().next());

    let steady = Steady::start(lab.client(), &plan).unwrap();
    steady.wait_for_answers(1000, LIMIT).unwrap();
    second.kill().unwrap();
    // So many that each flow has sent since, and heard that nobody is there.
    steady.wait_for_answers(4000, LIMIT).unwrap();
    let report = steady.stop().unwrap();
    assert_eq!(report.damaged().count(), 4 * 20);
    assert!(report.damaged().all(|flow| flow.backend == "b2" && flow.broken.is_some()));
}

#[test]
fn a_packet_lost_on_the_way_is_counted() {
    let lab = lab();
    let b1 = lab.backend(1).unwrap();
    let _server = Server::start(b1, &ports()).unwrap();
    let plan = SteadyPlan {
        grace: Duration::from_secs(1),
        ..SteadyPlan::new(vec![(Protocol::Udp, at(b1.address_v4(), 53))])
    };
    let steady = Steady::start(lab.client(), &plan).unwrap();
    steady.wait_for_answers(100, LIMIT).unwrap();
    let blackhole = format!("route add blackhole {}", lab.client().address_v4());
    b1.ip_batch(&[blackhole]).unwrap();
    let frozen_at = steady.answered_count();
    let filter = "udp and src host 10.1.0.2";
    let capture = Capture::start(b1, "eth0", filter).unwrap();
    let of_every_flow = || {
        let packets = capture.packets().unwrap();
        let ports: BTreeSet<_> = packets.iter().map(|it| it.payload()[20..22].to_vec()).collect();
        (ports.len() == 20).then_some(())
    };
    eventually(LIMIT, "a message of every flow, that will not be answered", of_every_flow).unwrap();
    let report = steady.stop().unwrap();
    let lost = report.sum(Protocol::Udp, FlowReport::lost);
    let answered = report.sum(Protocol::Udp, |flow| flow.answered);
    assert!(lost > 0);
    assert!(answered >= frozen_at);
    assert_eq!(report.damaged().count(), 20);
    assert!(capture.stop().unwrap().len() as u64 <= lost);
}

#[test]
fn a_capture_shows_hardware_addresses() {
    let lab = lab();
    let b2 = lab.backend(2).unwrap();
    let _server = Server::start(b2, &ports()).unwrap();
    let capture = Capture::start(b2, "eth0", "udp dst port 53").unwrap();
    let target = at(b2.address_v6(), 53);
    udp_exchanges(lab.client(), &UdpRun::new(target, 1)).unwrap();
    capture.wait_for(LIMIT, "the datagram", |packet| packet.ether_type() == Some(0x86dd)).unwrap();
    let packets = capture.stop().unwrap();
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].source(), Some(lab.router().mac("b0").unwrap()));
    assert_eq!(packets[0].destination(), Some(b2.mac("eth0").unwrap()));
    assert_eq!(packets[0].payload()[8..24], lab.client().address_v6().octets());
    assert_ne!(lab.router().ifindex("a0").unwrap(), lab.router().ifindex("b0").unwrap());
}

#[test]
fn health_is_answered_until_the_server_is_paused() {
    let lab = lab();
    let b3 = lab.backend(3).unwrap();
    let server = Server::start(b3, &ports()).unwrap();
    let target = at(b3.address_v6(), 8080);
    let ask = |path: &str, patience: Duration| {
        let asked = lab.router().enter(|| -> io::Result<String> {
            let mut stream = TcpStream::connect(target)?;
            stream.set_read_timeout(Some(patience))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: b3\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        });
        asked.unwrap()
    };
    let healthy = ask("/healthz", LIMIT).unwrap();
    assert!(healthy.starts_with("HTTP/1.1 200 ") && healthy.ends_with("\r\n\r\nb3"), "{healthy}");
    assert!(ask("/", LIMIT).unwrap().starts_with("HTTP/1.1 404 "));
    server.pause(true).unwrap();
    ask("/healthz", Duration::from_millis(500)).unwrap_err();
    server.pause(false).unwrap();
    ask("/healthz", LIMIT).unwrap();
}

#[test]
fn two_labs_live_side_by_side_and_end_with_their_owner() {
    let (first, second) = (lab(), lab());
    assert_ne!(first.id(), second.id());
    let mut sleeper = first.client().command("sleep").unwrap();
    let mut sleeper = Process::spawn(sleeper.arg("600")).unwrap();
    let state = Path::new("/run/lb").join(format!("{}-b1", first.instance()));
    fs::create_dir_all(state.join("deeper")).unwrap();
    let names: Vec<_> = first.hosts().map(|host| host.netns().clone()).collect();
    let id = first.id().to_owned();
    drop(first);
    assert!(names.iter().all(|netns| !netns.exists()));
    // Killed, it leaves its namespace a moment before it can be waited for.
    sleeper.wait(LIMIT).unwrap();
    assert!(!state.exists(), "state of an lbd outlived its lab");
    assert!(records().unwrap().iter().all(|record| record.id != id));
    let b1 = second.backend(1).unwrap().address_v4().to_string();
    second.client().run(&["ping", "-n", "-c", "1", "-W", "10", &b1]).unwrap();
}

#[test]
fn a_kept_lab_outlives_its_owner_and_is_removed_by_its_record() {
    let record = lab().keep().unwrap();
    assert_eq!(record.state(), State::Kept);
    assert!(!sweep().unwrap().contains(&record.id));
    let status = Command::new(binary("lb-lab").unwrap()).arg("status").output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains(&record.id));
    record.remove().unwrap();
    record.remove().unwrap();
    assert!(records().unwrap().iter().all(|other| other.id != record.id));
}

#[test]
fn what_a_killed_owner_leaves_behind_is_swept() {
    let mut owner = Process::spawn(Command::new(binary("lb-lab").unwrap()).arg("hold")).unwrap();
    let line = owner.wait_for_line(" is up", LIMIT).unwrap();
    let id = line.split(' ').nth(1).unwrap().to_owned();
    let record = records().unwrap().into_iter().find(|record| record.id == id).unwrap();
    assert_eq!(record.state(), State::Owned);
    assert!(!sweep().unwrap().contains(&id), "a lab in use was swept");
    owner.signal(Signal::KILL).unwrap();
    owner.wait(LIMIT).unwrap();
    // Another test that raises a lab may have swept it already; twice is once.
    sweep().unwrap();
    eventually(LIMIT, "no trace of the lab", || {
        let known = records().unwrap().iter().any(|record| record.id == id);
        (!known).then_some(())
    })
    .unwrap();
    assert!(record.namespaces.iter().all(|name| !lb_tests::lab::Netns::new(name).exists()));
}
