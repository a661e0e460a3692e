//! Backends die, come back and are drained: whose flows break, and where new ones go. Needs root.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use lb_tests::client::{LongLived, Protocol};
use lb_tests::lab::{Family, Host};
use lb_tests::services::{Mode, configuration};
use lb_tests::site::{Site, serve};
use lb_userspace::admin::resource::BackendResource;

/// Connections that stay open, for each mode and family.
const OPEN_COUNT: u64 = 40;
/// New connections for each mode and family. That a share of a quarter gets none of them by chance
/// has a probability below 1e-12.
const NEW_COUNT: u64 = 100;

#[test]
fn a_dead_backend_breaks_only_its_own_flows_and_gets_new_ones_when_it_is_back() {
    let mut site = Site::start(migrating).unwrap();
    let mut before = open_everywhere(&site);

    site.servers[1].kill().unwrap();
    site.wait_for_backends("b2 alone is down", |backend| {
        (backend.backend == "b2") == (backend.state == "down")
    })
    .unwrap();
    let down = site.backends().unwrap().into_iter().find(|one| one.state == "down").unwrap();
    assert!(down.state_reason.is_some() && !down.health.unwrap().up);
    assert_new_flows_reach(&site, &["b1", "b3"]);
    let mut meanwhile = open_everywhere(&site);
    for ping in before.iter_mut().flat_map(LongLived::ping_all) {
        assert_eq!(ping.result.is_ok(), ping.backend != "b2", "{ping:?}");
    }

    site.servers[1] = serve(site.lab.backend(2).unwrap()).unwrap();
    site.wait_until_ready().unwrap();
    assert_new_flows_reach(&site, &["b1", "b2", "b3"]);
    for ping in before.iter_mut().chain(&mut meanwhile).flat_map(LongLived::ping_all) {
        assert_eq!(ping.result.is_ok(), ping.backend != "b2", "{ping:?}");
    }
}

#[test]
fn a_drained_backend_keeps_its_flows_and_gets_no_new_ones_until_undrained() {
    let mut site = Site::start(migrating).unwrap();
    let mut before = open_everywhere(&site);
    assert!(before.iter().flat_map(LongLived::flows).any(|(_, backend)| backend == "b2"));

    order_for_every_mode(&site, "drain");
    let is_drained = |backend: &BackendResource| {
        let reason = backend.state_reason.as_deref();
        (backend.state == "draining" && reason == Some("drained by operator"))
            == (backend.backend == "b2")
    };
    site.wait_for_backends("b2 alone drains", is_drained).unwrap();
    assert_new_flows_reach(&site, &["b1", "b3"]);
    assert_all_answered(&mut before);

    // Who restarts lbd does not undrain.
    site.daemon.kill().unwrap();
    site.daemon.run().unwrap();
    site.wait_for_backends("b2 alone still drains", is_drained).unwrap();
    assert_new_flows_reach(&site, &["b1", "b3"]);
    assert_all_answered(&mut before);

    let mut meanwhile = open_everywhere(&site);
    order_for_every_mode(&site, "undrain");
    site.wait_until_ready().unwrap();
    assert_new_flows_reach(&site, &["b1", "b2", "b3"]);
    assert_all_answered(&mut before);
    assert_all_answered(&mut meanwhile);
}

#[test]
fn draining_what_is_not_there_fails_and_says_so() {
    let site = Site::start(migrating).unwrap();
    for name in ["l2dsr/b9", "l3dsr/b1"] {
        let output = site.daemon.lbctl(&["drain", name]).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains(name));
    }
    assert!(site.backends().unwrap().iter().all(|backend| backend.state == "active"));
}

/// The first packet of a UDP flow looks like any other, so by default it may follow what the slot
/// had before; here each goes at once where a new flow would go.
fn migrating(backends: &[Host]) -> String {
    configuration(backends).replacen("defaults:\n", "defaults:\n  udp: migrate\n", 1)
}

fn open_everywhere(site: &Site) -> Vec<LongLived> {
    let mut open = Vec::new();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let target = mode.target(family, Protocol::Tcp);
            let sources = site.sources(target);
            open.push(LongLived::open(site.lab.client(), target, OPEN_COUNT, &sources).unwrap());
        }
    }
    open
}

fn assert_all_answered(open: &mut [LongLived]) {
    for ping in open.iter_mut().flat_map(LongLived::ping_all) {
        assert_eq!(ping.result, Ok(()), "{ping:?}");
    }
}

fn assert_new_flows_reach(site: &Site, backends: &[&str]) {
    for mode in Mode::ALL {
        for family in Family::BOTH {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let tally = site.talk(protocol, mode.target(family, protocol), NEW_COUNT).unwrap();
                assert_eq!(tally.failures, [], "{mode} {family} {protocol}");
                let reached: Vec<_> = tally.per_backend.keys().collect();
                assert_eq!(reached, backends, "{mode} {family} {protocol}");
            }
        }
    }
}

fn order_for_every_mode(site: &Site, verb: &str) {
    for mode in Mode::ALL {
        let output = site.daemon.lbctl(&[verb, &format!("{mode}/b2")]).unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
