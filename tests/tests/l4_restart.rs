//! lbd dies, comes back and is removed: what goes on without it. Needs root.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lb_tests::client::{FlowReport, LongLived, Protocol, Steady, SteadyPlan};
use lb_tests::lab::Family;
use lb_tests::lbd::{DEGRADED, Daemon};
use lb_tests::services::{INTERFACES, Mode, all_targets, configuration};
use lb_tests::site::{self, Site};
use lb_tests::wait::{binary, eventually};
use lb_userspace::admin::resource::{ChangeResource, GenerationResource, List};

const LIMIT: Duration = Duration::from_secs(30);
/// Messages to let pass between two events.
const MESSAGES: u64 = 1500;

#[test]
fn killing_lbd_loses_no_packet_and_the_next_one_continues_where_it_was() {
    let mut site = Site::start(configuration).unwrap();
    let mut plan = SteadyPlan::new(all_targets());
    (plan.flow_count, plan.interval) = (6, Duration::from_millis(40));
    let steady = Steady::start(site.lab.client(), &plan).unwrap();
    steady.wait_for_answers(MESSAGES, LIMIT).unwrap();
    let before = rings(&site);

    site.daemon.kill().unwrap();
    steady.wait_for_answers(MESSAGES, LIMIT).unwrap();
    assert_eq!(rings(&site), before, "read from the pinned maps");

    site.daemon.run().unwrap();
    steady.wait_for_answers(MESSAGES, LIMIT).unwrap();
    assert_eq!(rings(&site), before, "after the restart");
    let changes: List<ChangeResource> = site.daemon.diff(&site.daemon.file()).unwrap();
    assert_eq!(changes.items, []);

    let report = steady.stop().unwrap();
    assert_eq!(report.flows.len(), all_targets().len() * 6);
    let damaged: Vec<_> = report.damaged().collect();
    assert!(damaged.is_empty(), "{damaged:?}");
    assert_eq!(report.sum(Protocol::Udp, FlowReport::lost), 0);
}

#[test]
fn connections_outlive_two_restarts_of_lbd() {
    let mut site = Site::start(configuration).unwrap();
    let mut open = open_in_every_mode(&site);
    site.daemon.stop().unwrap();
    assert_answered(&mut open);
    site.daemon.run().unwrap();
    assert_answered(&mut open);
    site.daemon.kill().unwrap();
    assert_answered(&mut open);
    site.daemon.run().unwrap();
    assert_answered(&mut open);
}

#[test]
fn without_lbd_everything_is_read_from_the_pinned_maps_and_new_flows_are_balanced() {
    let mut site = Site::start(configuration).unwrap();
    site.daemon.kill().unwrap();
    for mode in Mode::ALL {
        let tally = site.connect(mode.target(Family::V6, Protocol::Tcp), 100).unwrap();
        assert_eq!((tally.failures.len(), tally.per_backend.len()), (0, 3), "{mode}");
    }
    assert_eq!(site.vips().unwrap().len(), all_targets().len());
    assert_eq!(site.backends().unwrap().len(), all_targets().len() * 3);
    // Packets that end a connection may come between the two looks.
    eventually(LIMIT, "as many packets of the backends as in all", || {
        let forwarded: u64 = site.backends().ok()?.iter().map(|backend| backend.packets).sum();
        (forwarded > 4 * 4 * 100 && site.counters().ok()?["forwarded"] == forwarded).then_some(())
    })
    .unwrap();
    for what in ["vips", "backends", "flows", "stats", "programs"] {
        let output = site.daemon.lbctl(&["get", what]).unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{what}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("read from the pinned maps"), "{said}");
    }
    let status = site.daemon.lbctl(&["status"]).unwrap();
    assert_eq!(status.status.code(), Some(DEGRADED));
    assert!(String::from_utf8(status.stdout).unwrap().contains("lbd is not running"));
}

#[test]
fn detach_leaves_no_program_and_no_pin() {
    let site = Site::start(configuration).unwrap();
    assert_eq!(site.daemon.native_interfaces().unwrap(), INTERFACES);
    let instance = site.daemon.instance().to_owned();
    let pins = Path::new("/sys/fs/bpf/lb").join(&instance);
    assert!(pins.exists());
    let Site { daemon, lab, servers } = site;
    // Fails if an interface still has a program.
    daemon.remove().unwrap();
    assert!(!pins.exists());
    drop((servers, lab));
}

#[test]
fn detach_refuses_while_lbd_runs() {
    let site = Site::start(configuration).unwrap();
    let mut command = site.lab.router().command(binary("lbd").unwrap()).unwrap();
    let output = command.args(["detach", "--instance", site.daemon.instance()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(site.daemon.native_interfaces().unwrap(), INTERFACES);
}

#[test]
fn an_interface_that_refuses_native_xdp_is_announced_and_still_forwards() {
    let lab = site::lab().unwrap();
    let servers = lab.backends().iter().map(site::serve).collect::<Result<Vec<_>, _>>().unwrap();
    // A veth refuses native XDP if its peer's packets may be larger than a page.
    lab.client().ip_batch(&["link set eth0 mtu 9000".to_owned()]).unwrap();
    let mut daemon = Daemon::prepare(&lab, &configuration(lab.backends())).unwrap();
    daemon.run_until(DEGRADED).unwrap();
    let status = daemon.lbctl(&["status", "-o", "json"]).unwrap();
    let status: GenerationResource = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status.degraded, ["a0 runs generic XDP"]);
    let a0 = status.interfaces.iter().find(|interface| interface.name == "a0").unwrap();
    assert_eq!(a0.attach_mode.as_deref(), Some("generic"));
    assert!(a0.reason.is_some());
    let is_told = || daemon.lines().iter().any(|line| line.contains("generic XDP")).then_some(());
    let told = eventually(LIMIT, "lbd tells it", is_told);
    assert!(told.is_ok(), "{:?}", daemon.lines());
    let site = Site { daemon, servers, lab };
    site.wait_until_ready().unwrap();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let tally = site.connect(mode.target(family, Protocol::Tcp), 50).unwrap();
            assert_eq!(tally.failures, [], "{mode} {family}");
        }
    }
}

/// What decides where new flows go: the ring of every VIP, by its hash and size.
fn rings(site: &Site) -> BTreeMap<String, (String, u32)> {
    let vips = site.vips().unwrap().into_iter();
    vips.map(|vip| (vip.vip, (vip.ring_hash, vip.ring_slots))).collect()
}

fn open_in_every_mode(site: &Site) -> Vec<LongLived> {
    let open = |mode: Mode| {
        let target = mode.target(Family::V4, Protocol::Tcp);
        LongLived::open(site.lab.client(), target, 50, &site.sources(target)).unwrap()
    };
    Mode::ALL.into_iter().map(open).collect()
}

fn assert_answered(open: &mut [LongLived]) {
    for flows in open {
        for ping in flows.ping_all() {
            assert_eq!(ping.result, Ok(()), "{ping:?}");
        }
    }
}
