//! The examples that need files beside them pass `lbd check`, run as a reader would run it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::support;
use lb_userspace::{
    config,
    model::{Answer, Desired, PathMatch, Verify},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

#[test]
fn hail_gateways_pass_the_check() {
    let folder = example("hail-gateways", &["hail", "gateway", "internal-gateway"]);
    let shown = check(&folder, "gateway.yaml");
    insta::assert_snapshot!(shown, @"lbd: gateway.yaml is good: 0 services, 0 VIPs, 0 backends; 2 listeners, 8 routes, 10 upstreams");
    let shown = check(&folder, "internal-gateway.yaml");
    insta::assert_snapshot!(shown, @"lbd: internal-gateway.yaml is good: 0 services, 0 VIPs, 0 backends; 1 listeners, 4 routes, 6 upstreams");
}

#[test]
fn tekton_gateway_passes_the_check() {
    let shown = check(&example("tekton-gateway", &[]), "gateway.yaml");
    insta::assert_snapshot!(shown, @"lbd: gateway.yaml is good: 0 services, 0 VIPs, 0 backends; 1 listeners, 1 routes, 2 upstreams");
}

#[test]
fn without_its_certificates_a_gateway_is_taken_with_warnings() {
    let folder = example("hail-gateways", &[]);
    let shown = check(&folder, "gateway.yaml");
    assert!(shown.contains("certificate `hail` is left out"), "{shown}");
}

#[test]
fn only_what_should_be_asks_for_permission() {
    let proxy = load("hail-gateways", "gateway.yaml").proxy;
    for (name, route) in &proxy.routes {
        for rule in &route.rules {
            let metrics =
                rule.matches.iter().any(|it| it.path == PathMatch::Prefix("/metrics".to_owned()));
            let guarded = metrics || name == "internal";
            assert_eq!(rule.filters.auth.is_some(), guarded, "{name}");
        }
    }
    let auth = proxy.routes["internal"].rules[0].filters.auth.as_ref().unwrap();
    assert_eq!((auth.timeout, auth.status_on_error), (Duration::from_millis(250), 503));
    let names: Vec<&String> = auth.request_headers.iter().collect();
    assert_eq!(names, ["cookie", "x-hail-internal-authorization"]);
}

#[test]
fn services_have_their_rates_and_namespaces_their_trust() {
    for file in ["gateway.yaml", "internal-gateway.yaml"] {
        let proxy = load("hail-gateways", file).proxy;
        let mut rules = proxy.routes.values().flat_map(|route| &route.rules);
        for rule in rules.by_ref().filter(|rule| rule.filters.answer.is_none()) {
            let [backend] = rule.backends.as_slice() else { panic!("one backend") };
            let name = backend.upstream.as_deref().unwrap();
            let rates: Vec<u32> = rule.filters.rate_limits.iter().map(|it| it.burst).collect();
            let wanted: &[u32] = match name {
                "letsencrypt" => &[],
                _ if name.ends_with("batch-driver") => &[60],
                _ => &[200],
            };
            assert_eq!(rates, wanted, "{name}");
            assert_eq!(rule.timeouts.request, None);
        }
        for (name, upstream) in &proxy.upstreams {
            let tls = upstream.tls.as_ref();
            if name == "letsencrypt" {
                assert_eq!(tls, None);
            } else if name.starts_with("pr-") || name.starts_with("alice-") {
                assert_eq!(tls.unwrap().verify, Verify::Insecure, "{name}");
                assert_eq!(tls.unwrap().certificate, None, "{name}");
            } else {
                assert!(matches!(tls.unwrap().verify, Verify::Authorities(_)), "{name}");
                assert!(tls.unwrap().certificate.is_some(), "{name}");
            }
        }
    }
}

#[test]
fn what_is_no_webhook_gets_503() {
    let proxy = load("tekton-gateway", "gateway.yaml").proxy;
    let rest = proxy.routes["triggers"].rules.last().unwrap();
    assert!(rest.matches.is_empty());
    assert!(matches!(rest.filters.answer, Some(Answer::Fixed { status: 503, .. })));
}

/// A copy of an example's folder with certificates in it.
fn example(name: &str, certificates: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    support::fill(folder.path(), certificates);
    for entry in fs::read_dir(source(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

/// What `lbd check` says of a file that it takes.
fn check(folder: &TempDir, file: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lbd"))
        .args(["check", file])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{shown}");
    shown
}

fn load(example_name: &str, file: &str) -> Desired {
    let folder = example(example_name, &["hail", "gateway", "internal-gateway"]);
    config::load(&folder.path().join(file)).unwrap()
}
