//! The list of all cases, what must hold of it, and the tables of docs/GATEWAY-API.md.

use super::{backend_tls, gateway, grpc, http, tcp, tls, udp};
use lb_tests::conformance::{Case, Feature, PROFILES, Suite};
use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path, process::Command};

/// Tests of the upstream suite (v1.6.1) that are about gateways.
const UPSTREAM_COUNT: usize = 131;

/// All cases.
pub(crate) fn all() -> Vec<&'static Case> {
    let lists = [
        gateway::listener::CASES,
        gateway::address::CASES,
        gateway::certificate::CASES,
        gateway::client::CASES,
        gateway::listener_set::CASES,
        gateway::listener_set_status::CASES,
        http::matching::CASES,
        http::host::CASES,
        http::parent::CASES,
        http::reference::CASES,
        http::backend::CASES,
        http::filter::CASES,
        http::cors::CASES,
        http::mirror::CASES,
        http::retry::CASES,
        http::guard::CASES,
        backend_tls::CASES,
        grpc::CASES,
        tls::CASES,
        tcp::CASES,
        udp::CASES,
    ];
    lists.into_iter().flatten().collect()
}

#[test]
fn every_test_is_a_case_and_every_case_a_test() {
    let listed = Command::new(env::current_exe().unwrap()).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests = listed.lines().filter_map(|it| it.strip_suffix(": test"));
    // What is about the list is no case.
    let tests = tests.filter(|it| !it.starts_with("cases::") && !it.starts_with("report::"));
    let tests: Vec<_> = tests.map(|it| it.rsplit("::").next().unwrap()).collect();
    let cases: Vec<_> = all().iter().map(|it| it.test).collect();
    let (test_set, case_set) = (set(&tests), set(&cases));
    assert_eq!(test_set, case_set);
    assert_eq!((tests.len(), cases.len()), (test_set.len(), case_set.len()), "twice the same name");
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

#[test]
fn every_upstream_test_has_its_case() {
    let names: Vec<_> = all().iter().filter_map(|it| it.upstream).collect();
    assert_eq!(set(&names).len(), names.len(), "one is there twice");
    assert_eq!(names.len(), UPSTREAM_COUNT);
    // As many as reports of v1.6.1 have for each profile: core tests and extended tests.
    let counts = PROFILES.map(|profile| {
        let all = all();
        let upstream = || all.iter().filter(|it| it.upstream.is_some());
        let core = upstream().filter(|it| it.is_core(&profile)).count();
        (profile.name, core, upstream().filter(|it| it.is_extended(&profile)).count())
    });
    assert_eq!(
        counts,
        [
            ("GATEWAY-HTTP", 37, 57),
            ("GATEWAY-GRPC", 15, 10),
            ("GATEWAY-TLS", 20, 15),
            ("GATEWAY-TCP", 19, 10),
            ("GATEWAY-UDP", 20, 10),
        ]
    );
}

#[test]
fn the_class_names_the_features_that_have_cases() {
    let class = Suite::shared().server.get("GatewayClass", "suite").unwrap().unwrap();
    let supported = class["status"]["supportedFeatures"].as_array().unwrap();
    let supported: BTreeSet<_> = supported.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let shown: BTreeSet<_> = all().iter().flat_map(|it| it.features()).map(Feature::name).collect();
    assert_eq!(supported, shown);
    for feature in Feature::ALL {
        assert!(all().iter().any(|it| it.shows(*feature)), "{feature:?} has no case");
        assert!(shown.contains(feature.name()), "{feature:?} is not served");
    }
}

#[test]
fn the_document_has_what_the_cases_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/GATEWAY-API.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut made = text.clone();
    for (name, table) in [("profiles", profiles()), ("features", features())] {
        made = replaced(&made, name, &table);
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, made).unwrap();
    } else {
        assert!(text == made, "docs/GATEWAY-API.md is not up to date: set UPDATE_DOCS=1");
    }
}

/// The text with another table between the comments that name it.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{table}{end}{after}")
}

fn profiles() -> String {
    let mut table =
        "| profile | core features | core tests | extended features | extended tests |\n\
                     |---|---|---|---|---|\n"
            .to_owned();
    for profile in PROFILES {
        let core = profile.core().map(|it| format!("`{}`", it.name())).join(", ");
        let cases = all();
        let upstream = || cases.iter().filter(|it| it.upstream.is_some());
        let (name, extended) = (profile.name, profile.extended().len());
        let core_tests = upstream().filter(|it| it.is_core(&profile)).count();
        let extended_tests = upstream().filter(|it| it.is_extended(&profile)).count();
        writeln!(table, "| {name} | {core} | {core_tests} | {extended} | {extended_tests} |")
            .unwrap();
    }
    table
}

fn features() -> String {
    let mut table = "| feature | profiles | tests |\n|---|---|---|\n".to_owned();
    for feature in Feature::ALL {
        let profiles = PROFILES.iter().filter_map(|it| {
            let name = it.name.trim_start_matches("GATEWAY-");
            let is_core = it.core().contains(feature);
            let is_extended = it.extended().contains(feature);
            (is_core || is_extended)
                .then(|| format!("{name}{}", if is_core { " (core)" } else { "" }))
        });
        let profiles = profiles.collect::<Vec<_>>().join(", ");
        let tests = all().into_iter().filter(|it| it.shows(*feature));
        let tests = tests.map(|it| format!("`{}`", it.test)).collect::<Vec<_>>().join(", ");
        writeln!(table, "| `{}` | {profiles} | {tests} |", feature.name()).unwrap();
    }
    table
}
