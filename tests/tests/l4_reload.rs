//! The configuration changes while traffic flows: what a good file does, and that a bad one does
//! nothing. Needs root.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::fs;
use std::time::Duration;

use lb_tests::client::{LongLived, Protocol};
use lb_tests::lab::{Family, Host};
use lb_tests::lbd::DEGRADED;
use lb_tests::services::{Mode, configuration};
use lb_tests::site::Site;
use lb_tests::wait::eventually;
use lb_userspace::admin::resource::{
    BackendResource, ChangeResource, GenerationResource, List, VipResource,
};

const LIMIT: Duration = Duration::from_secs(30);
/// VIPs of the configuration: four modes, two families, two protocols.
const VIP_COUNT: usize = 16;

#[test]
fn a_backend_added_to_the_file_gets_new_flows_and_moves_no_old_one() {
    let site = Site::start(two_backends).unwrap();
    let mut open = open_everywhere(&site);
    let next = configuration(site.lab.backends());

    let draft = site.daemon.file().with_file_name("next.yaml");
    fs::write(&draft, &next).unwrap();
    let changes: List<ChangeResource> = site.daemon.diff(&draft).unwrap();
    assert_eq!(changes.items.len(), VIP_COUNT);
    for change in &changes.items {
        // The new backend has half of the weight.
        assert!((0.5..0.52).contains(&change.ring_moves), "{change:?}");
        assert_eq!(change.backends.len(), 1);
        assert_eq!(change.backends[0].backend, "b3");
    }

    site.daemon.write(&next).unwrap();
    eventually(LIMIT, "b3 in every ring", || {
        let backends = site.backends().ok()?;
        let in_ring = |one: &&BackendResource| one.backend == "b3" && one.ring_share > 0.4;
        (backends.iter().filter(in_ring).count() == VIP_COUNT).then_some(())
    })
    .unwrap();
    site.wait_until_ready().unwrap();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let tally = site.connect(mode.target(family, Protocol::Tcp), 100).unwrap();
            assert_eq!((tally.failures.len(), tally.per_backend.len()), (0, 3), "{mode} {family}");
        }
    }
    assert_answered(&mut open);
    let changes: List<ChangeResource> = site.daemon.diff(&draft).unwrap();
    assert_eq!(changes.items, []);
}

#[test]
fn a_backend_drained_in_the_file_keeps_its_flows_and_gets_no_new_ones() {
    let site = Site::start(configuration).unwrap();
    let mut open = open_everywhere(&site);
    let drained = configuration(site.lab.backends()).replace("weight: 2", "weight: 2, drain: true");
    site.daemon.write(&drained).unwrap();
    site.wait_for_backends("b3 alone drains", |backend| {
        (backend.backend == "b3") == (backend.state == "draining")
    })
    .unwrap();
    assert_new_flows_reach_b1_and_b2(&site);
    assert_answered(&mut open);
}

#[test]
fn a_backend_taken_out_of_the_file_gets_no_new_flows_and_those_of_the_others_stay() {
    let site = Site::start(configuration).unwrap();
    let mut open = open_everywhere(&site);
    site.daemon.write(&two_backends(site.lab.backends())).unwrap();
    site.wait_for_backends("b3 leaves every ring", |backend| {
        (backend.backend == "b3") == (backend.ring_share == 0.0)
    })
    .unwrap();
    assert_new_flows_reach_b1_and_b2(&site);
    for ping in open.iter_mut().flat_map(LongLived::ping_all) {
        assert!(ping.result.is_ok() || ping.backend == "b3", "{ping:?}");
    }
}

#[test]
fn sighup_reads_the_file_again() {
    let site = Site::start(configuration).unwrap();
    let loaded_ms = || generation(&site).configuration.unwrap().loaded_ms;
    let (before, vips) = (loaded_ms(), rings(&site));
    site.daemon.hang_up().unwrap();
    eventually(LIMIT, "the file is read again", || (loaded_ms() > before).then_some(())).unwrap();
    assert_eq!(rings(&site), vips);
}

#[test]
fn a_bad_file_changes_nothing_and_is_named_until_it_is_mended() {
    let mut site = Site::start(configuration).unwrap();
    let mut open = open_everywhere(&site);
    let (good, vips) = (configuration(site.lab.backends()), rings(&site));
    let applied = generation(&site).applied;

    site.daemon.write(&format!("{good}colour: red\n")).unwrap();
    let degraded = eventually(LIMIT, "the bad file is noticed", || {
        let output = site.daemon.lbctl(&["status"]).ok()?;
        (output.status.code() == Some(DEGRADED)).then_some(output)
    });
    let said = String::from_utf8(degraded.unwrap().stdout).unwrap();
    let place = format!("{}:{}:1", site.daemon.file().display(), good.lines().count() + 1);
    for part in ["the newest configuration is not in force", &place, "colour"] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
    let is_told = || site.daemon.lines().iter().any(|line| line.contains(&place)).then_some(());
    eventually(LIMIT, "lbd names the place", is_told).unwrap();
    assert_eq!((rings(&site), generation(&site).applied), (vips.clone(), applied));
    assert_answered(&mut open);

    // With the bad file lbd does not start at all, and what runs goes on.
    site.daemon.stop().unwrap();
    let refused = site.daemon.run().unwrap_err().to_string();
    assert!(refused.contains(&place), "{refused}");
    assert_answered(&mut open);

    site.daemon.write(&good).unwrap();
    site.daemon.run().unwrap();
    assert_eq!(rings(&site), vips);
    assert_answered(&mut open);
}

#[test]
fn a_mended_file_is_in_force_without_a_restart() {
    let site = Site::start(configuration).unwrap();
    let good = configuration(site.lab.backends());
    let status_is = |code: i32| {
        eventually(LIMIT, &format!("status {code}"), || {
            let output = site.daemon.lbctl(&["status"]).ok()?;
            (output.status.code() == Some(code)).then_some(())
        })
        .unwrap();
    };
    site.daemon.write("services: [").unwrap();
    status_is(DEGRADED);
    site.daemon.write(&good).unwrap();
    status_is(0);
    assert_eq!(generation(&site).configuration.unwrap().last_error, None);
}

fn assert_new_flows_reach_b1_and_b2(site: &Site) {
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let tally = site.connect(mode.target(family, Protocol::Tcp), 100).unwrap();
            assert_eq!(tally.failures, [], "{mode} {family}");
            let reached: Vec<_> = tally.per_backend.keys().collect();
            assert_eq!(reached, ["b1", "b2"], "{mode} {family}");
        }
    }
}

fn two_backends(backends: &[Host]) -> String {
    configuration(backends.get(..2).unwrap())
}

fn generation(site: &Site) -> GenerationResource {
    let output = site.daemon.lbctl(&["get", "generation", "-o", "json"]).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rings(site: &Site) -> Vec<(String, String)> {
    let ring = |vip: VipResource| (vip.vip, vip.ring_hash);
    site.vips().unwrap().into_iter().map(ring).collect()
}

fn open_everywhere(site: &Site) -> Vec<LongLived> {
    let mut open = Vec::new();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let target = mode.target(family, Protocol::Tcp);
            open.push(
                LongLived::open(site.lab.client(), target, 40, &site.sources(target)).unwrap(),
            );
        }
    }
    open
}

fn assert_answered(open: &mut [LongLived]) {
    for ping in open.iter_mut().flat_map(LongLived::ping_all) {
        assert_eq!(ping.result, Ok(()), "{ping:?}");
    }
}
