//! Nothing is lost while a cluster changes what it asks for and lbd is replaced, by any protocol: clients
//! come to a router, and pods are on hosts behind it. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test; JSON is looked into by name"
)]

mod pod;
mod probe;
mod site;

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use lb_tests::{
    client::{Protocol, Steady, SteadyPlan},
    lab::Process,
    load::{Load, Target, Way},
    scale,
};
use probe::Probe;
use site::{GRPC, LIMIT, NAME, PASSED, Site};
use tokio::task::block_in_place;

/// How often everything is changed, and how often lbd is restarted, at full length and usually.
const ROUNDS: (usize, usize) = (40, 2);
const RESTARTS: (usize, usize) = (20, 2);
/// Answers that show that all clients were at it.
const ANSWERS: u64 = 20;
/// How often clients are asked how far they are.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Messages of steady flows beside a restart.
const MESSAGES: u64 = 200;

/// All that come to the Gateway.
struct Loads {
    began: Instant,
    clients: Vec<(&'static str, Load)>,
    probes: Vec<Probe>,
}

impl Loads {
    fn start(site: &Site) -> Self {
        let client = site.lab.client();
        let target = |port| Target::from(site.gateway(port)).on(client).named(NAME);
        let trust = || site.authority.client().unwrap();
        let plain = [Way::KeepAlive, Way::Connections, Way::Slow, Way::Http2, Way::WebSocket];
        let secure = [Way::KeepAlive, Way::Connections, Way::Http2, Way::WebSocket];
        let clients = vec![
            ("http", Load::start(target(80), &plain)),
            ("grpc", Load::start(target(80).named(GRPC), &[Way::Grpc])),
            ("https", Load::start(target(443).secure(trust()), &secure)),
            (
                "passthrough",
                Load::start(target(8443).named(PASSED).secure(trust()), &[Way::Connections]),
            ),
        ];
        let probe = |protocol| Probe::start(client, protocol, site.lines);
        let probes = [Protocol::Tcp, Protocol::Udp].map(probe).into();
        Self { began: Instant::now(), clients, probes }
    }

    /// Waits until each of them has got many more answers after something.
    async fn more(&self, after: &str) {
        println!("{:?} {after}", self.began.elapsed());
        let begun: Vec<u64> = self.answers().collect();
        let are_more = || self.answers().zip(&begun).all(|(now, begun)| now >= begun + ANSWERS);
        let counted = async {
            while !are_more() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let done = tokio::time::timeout(LIMIT, counted).await;
        let counts = || self.answers().zip(&begun).map(|(now, begun)| now - begun);
        assert!(done.is_ok(), "after {after} no more than {:?}", counts().collect::<Vec<_>>());
    }

    /// What each of them got so far.
    fn answers(&self) -> impl Iterator<Item = u64> {
        let loads = self.clients.iter().map(|(_, load)| load.tally.answers.load(Relaxed));
        loads.chain(self.probes.iter().map(Probe::answers))
    }

    async fn assert_nothing_failed(self) {
        for (name, load) in self.clients {
            println!("{name}: {} answers", load.assert_nothing_failed().await);
        }
        for probe in self.probes {
            block_in_place(|| probe.assert_nothing_failed());
        }
    }
}

/// Flows that last, to pods that stay.
fn steady(site: &Site) -> Steady {
    let targets = [Protocol::Tcp, Protocol::Udp].map(|it| (it, site.still));
    let plan = SteadyPlan { flow_count: 5, ..SteadyPlan::new(targets.to_vec()) };
    Steady::start(site.lab.client(), &plan).unwrap()
}

fn assert_whole(steady: Steady) {
    let report = steady.stop().unwrap();
    assert_eq!(report.damaged().collect::<Vec<_>>(), Vec::<&lb_tests::client::FlowReport>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_changes_no_request_fails() {
    let mut site = block_in_place(Site::start);
    let steady = block_in_place(|| steady(&site));
    let loads = Loads::start(&site);
    loads.more("the begin").await;
    let mut ending: Vec<Process> = Vec::new();
    for number in 1..=scale::rounds(ROUNDS.0, ROUNDS.1) {
        block_in_place(|| site.route(number));
        loads.more("another route").await;
        site.roll(number).await;
        loads.more("another pod").await;
        block_in_place(|| site.rotate());
        loads.more("another certificate").await;
        block_in_place(|| ending.push(site.daemon.replace().unwrap()));
        loads.more("another lbd").await;
    }
    loads.assert_nothing_failed().await;
    block_in_place(|| {
        assert_whole(steady);
        for mut lbd in ending {
            let status = lbd.wait(LIMIT).unwrap();
            assert!(status.success(), "{status}: {}", lbd.lines().join("\n"));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_lose_nothing_that_is_forwarded() {
    let mut site = block_in_place(Site::start);
    block_in_place(|| {
        let steady = steady(&site);
        let client = site.lab.client().clone();
        let probes = [Protocol::Tcp, Protocol::Udp].map(|it| Probe::start(&client, it, site.lines));
        for number in 1..=scale::rounds(RESTARTS.0, RESTARTS.1) {
            if number % 2 == 0 {
                site.daemon.kill().unwrap();
            } else {
                site.daemon.stop().unwrap();
            }
            steady.wait_for_answers(MESSAGES, LIMIT).unwrap();
            site.daemon.run().unwrap();
            site.await_in_force();
            steady.wait_for_answers(MESSAGES, LIMIT).unwrap();
        }
        probes.into_iter().for_each(Probe::assert_nothing_failed);
        assert_whole(steady);
    });
}
