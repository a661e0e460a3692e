//! `trace` names the backend that the real packet went to, and leaves no mark. Needs root.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use lb_tests::client::{LongLived, Protocol};
use lb_tests::lab::Family;
use lb_tests::services::{Mode, unprobed_configuration};
use lb_tests::site::Site;
use lb_userspace::admin::resource::TraceResource;
use lb_userspace::dataplane::{Dataplane, Stats, TracePacket};

/// Real exchanges for each mode, family and protocol: 1,040 tuples for each mode.
const COUNT: u64 = 260;
/// Connections that stay open, for each mode.
const OPEN_COUNT: u64 = 200;
/// How often all are traced if something was counted meanwhile: a real packet may come late, what
/// tracing itself does comes every time.
const TRIES_MAX: usize = 5;
/// More flows than any case makes.
const FLOWS_MAX: usize = 100_000;

/// A client's tuple, and the backend that answered it.
struct Tuple {
    protocol: Protocol,
    client: SocketAddr,
    vip: SocketAddr,
    backend: String,
}

#[test]
fn trace_names_the_backend_that_answered_each_of_a_thousand_tuples_in_each_mode() {
    let site = Site::start(unprobed_configuration).unwrap();
    for mode in Mode::ALL {
        let mut tuples = Vec::new();
        for family in Family::BOTH {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let vip = mode.target(family, protocol);
                let tally = site.talk(protocol, vip, COUNT).unwrap();
                assert_eq!(tally.failures, [], "{mode} {family} {protocol}");
                tuples.extend(tally.answers.into_iter().map(|answer| Tuple {
                    protocol,
                    client: answer.local,
                    vip,
                    backend: answer.backend,
                }));
            }
        }
        assert!(tuples.len() >= 1000);
        assert_traced(&site, mode, &tuples, &[true, false]);
        for tuple in tuples.iter().step_by(200) {
            assert_traced_by_lbctl(&site, tuple);
        }
    }
}

#[test]
fn trace_follows_open_connections_of_slots_that_moved() {
    let site = Site::start(unprobed_configuration).unwrap();
    for mode in Mode::ALL {
        let vip = mode.target(Family::V4, Protocol::Tcp);
        let sources = site.sources(vip);
        let mut open = LongLived::open(site.lab.client(), vip, OPEN_COUNT, &sources).unwrap();
        let drained = site.daemon.lbctl(&["drain", &format!("{mode}/b3")]).unwrap();
        assert!(drained.status.success(), "{drained:?}");
        let tuples: Vec<Tuple> = open
            .flows()
            .map(|(client, backend)| Tuple {
                protocol: Protocol::Tcp,
                client,
                vip,
                backend: backend.to_owned(),
            })
            .collect();
        assert!(tuples.iter().any(|tuple| tuple.backend == "b3"));
        // Before and after the flows of the moved slots are stored by their next packets.
        assert_traced(&site, mode, &tuples, &[false]);
        assert!(open.ping_all().iter().all(|ping| ping.result.is_ok()));
        assert_traced(&site, mode, &tuples, &[false]);
        assert!(open.ping_all().iter().all(|ping| ping.result.is_ok()));
    }
}

/// Traces each tuple as an opening and as a later packet, whichever `opens` says, and checks the
/// answers and that no counter and no table changed.
fn assert_traced(site: &Site, mode: Mode, tuples: &[Tuple], opens: &[bool]) {
    let traced = site.lab.router().enter(|| {
        let dataplane = Dataplane::open_pinned(site.daemon.instance()).unwrap();
        let mut marks = Vec::new();
        for _ in 0..TRIES_MAX {
            let before = (counted(&dataplane), flows(&dataplane));
            let other = trace_all(&dataplane, tuples, opens);
            assert!(other.is_empty(), "{mode}: {} others: {}", other.len(), other.join("; "));
            // The sweep forgets flows meanwhile; nothing must be new.
            let (now, flows) = (counted(&dataplane), flows(&dataplane));
            let new: Vec<_> = flows.difference(&before.1).cloned().collect();
            if now == before.0 && new.is_empty() {
                return Ok(());
            }
            marks.push(format!("{:?} became {now:?}, stored {new:?}", before.0));
        }
        Err(marks)
    });
    let left = traced.unwrap().err();
    assert!(left.is_none(), "{mode}: tracing left marks every time: {left:?}");
}

/// What is traced to another place than the real packets went.
fn trace_all(dataplane: &Dataplane, tuples: &[Tuple], opens: &[bool]) -> Vec<String> {
    let mut other = Vec::new();
    for tuple in tuples {
        for is_opening in opens {
            let Tuple { protocol, client, vip, ref backend } = *tuple;
            let is_opening = *is_opening;
            let packet = TracePacket { protocol, source: client, destination: vip, is_opening };
            let trace = dataplane.trace(&packet, Some("a0")).unwrap();
            let name = trace.backend.as_ref().map(|backend| backend.name.as_str());
            if name != Some(backend) || trace.outcome.is_some() {
                other.push(format!("{client} to {vip} went to {backend}, but {trace:?}"));
            }
        }
    }
    other
}

/// All counters but those of packets that are the host's own business, like neighbour discovery.
fn counted(dataplane: &Dataplane) -> Stats {
    let mut stats = dataplane.stats().unwrap();
    stats.outcomes.retain(|stat| !["pass_not_ip", "pass_not_vip"].contains(&stat.outcome));
    stats
}

/// Everything that is remembered of each flow, but for how long.
fn flows(dataplane: &Dataplane) -> BTreeSet<String> {
    let flows = dataplane.flows(FLOWS_MAX).unwrap().into_iter();
    flows
        .map(|flow| format!("{:?}", lb_userspace::dataplane::Flow { idle_ms: 0, ..flow }))
        .collect()
}

fn assert_traced_by_lbctl(site: &Site, tuple: &Tuple) {
    let Tuple { protocol, client, vip, backend } = tuple;
    let words = ["trace", &protocol.to_string(), &client.to_string(), &vip.to_string()];
    let trace: TraceResource = site.daemon.ask(&words).unwrap();
    assert_eq!(trace.backend.as_ref(), Some(backend), "{trace:?}");
}
