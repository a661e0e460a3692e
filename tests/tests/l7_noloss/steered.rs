//! lbd is replaced while clients reach it through VIPs: XDP on the router's interfaces passes their
//! packets on, and the sockets that they are steered to are handed over. Needs root.

use std::net::{IpAddr, SocketAddr};

use lb_tests::{
    client::Protocol,
    lab::{Family, Host},
    services::{Mode, unprobed_configuration},
    site,
};

use super::{
    WAYS,
    load::{Load, Target},
    origin, rounds,
    site::assert_ended,
};

const HAND_OVERS: (usize, usize) = (50, 4);
const WORKERS_MAX: usize = 3;
/// Connections to a forwarded service beside each hand-over.
const FORWARDED: u64 = 20;

fn vip(family: Family) -> SocketAddr {
    let address: IpAddr = match family {
        Family::V4 => [192, 0, 2, 50].into(),
        Family::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50].into(),
    };
    SocketAddr::new(address, 80)
}

fn configuration(backends: &[Host], upstream: Option<SocketAddr>, number: usize) -> String {
    let forwarded = unprobed_configuration(backends);
    let [four, six] = Family::BOTH.map(vip);
    let workers = 1 + number % WORKERS_MAX;
    let endpoints = upstream.map(|it| format!("\"{it}\"")).unwrap_or_default();
    format!(
        "{forwarded}
proxy: {{ workers: {workers}, drain_timeout: 10s }}
listeners:
  - {{ name: web, protocol: http, vips: [\"{four}/tcp\", \"{six}/tcp\"] }}
upstreams:
  - {{ name: all, endpoints: [{endpoints}] }}
routes:
  - {{ name: all, listeners: [web], hosts: [swap.example], rules: [{{ backends: [all] }}] }}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hand_overs_behind_vips_lose_nothing() {
    let start = || site::Site::start(|backends| configuration(backends, None, 0)).unwrap();
    let mut site = tokio::task::block_in_place(start);
    let upstream = Some(origin::start_on(site.lab.router()));
    let write = |site: &site::Site, number| {
        site.daemon.write(&configuration(site.lab.backends(), upstream, number)).unwrap();
    };
    write(&site, 0);
    // One that has served with this from the start.
    let first = tokio::task::block_in_place(|| site.daemon.replace().unwrap());
    let from = |it| Target::from(vip(it)).on(site.lab.client());
    let loads = Family::BOTH.map(|it| Load::start(from(it), &WAYS));
    let mut ending = vec![first];
    for number in 1..=rounds(HAND_OVERS) {
        write(&site, number);
        tokio::task::block_in_place(|| {
            ending.push(site.daemon.replace().unwrap());
            let target = Mode::Nat.target(Family::V4, Protocol::Tcp);
            let tally = site.talk(Protocol::Tcp, target, FORWARDED).unwrap();
            assert_eq!(tally.failures, [], "forwarded, hand-over {number}");
        });
    }
    tokio::task::block_in_place(|| ending.into_iter().for_each(assert_ended));
    for load in loads {
        load.assert_nothing_failed().await;
    }
}
