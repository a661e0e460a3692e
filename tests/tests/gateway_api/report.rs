//! The conformance report, in the format of the upstream suite
//! (`conformance/apis/v1/conformancereport.go` there). `cargo xtask conformance` asks for one.

use super::cases::all;
use k8s_openapi::jiff::Timestamp;
use lb_kube::FEATURES;
use lb_tests::conformance::{Case, Feature, PROFILES, Profile};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

/// Names the file that a report is to be written to.
const FILE: &str = "LB_CONFORMANCE_REPORT";
/// Whose implementation it is, as `implementation` of the report, in JSON.
const IMPLEMENTATION: &str = "LB_CONFORMANCE_IMPLEMENTATION";

/// Whether a test passed, by its name.
type Results = BTreeMap<String, bool>;

/// Runs the other tests and writes what came of them, if a file is named; else looks at what would
/// be written.
#[test]
fn a_report_of_all_cases() {
    let Some(file) = env::var_os(FILE) else {
        is_what_upstream_reads();
        return;
    };
    let implementation = env::var(IMPLEMENTATION).ok();
    let implementation = implementation.map(|it| serde_json::from_str(&it).unwrap());
    let results = run();
    let report = report(&results, implementation.unwrap_or_else(|| json!({})));
    fs::write(file, serde_saphyr::to_string(&report).unwrap()).unwrap();
    let failed: Vec<_> = results.iter().filter(|it| !it.1).map(|it| it.0).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
    let missing: Vec<_> =
        all().into_iter().map(|it| it.test).filter(|it| !results.contains_key(*it)).collect();
    assert!(missing.is_empty(), "not run: {missing:?}");
}

fn is_what_upstream_reads() {
    let mut results: Results = all().iter().map(|it| (it.test.to_owned(), true)).collect();
    let good = report(&results, json!({ "organization": "example", "contact": ["@someone"] }));
    assert_eq!(good["kind"], "ConformanceReport");
    let implementation = json!({
        "organization": "example", "project": "lb", "url": "", "version": env!("CARGO_PKG_VERSION"),
        "contact": ["@someone"],
    });
    assert_eq!(good["implementation"], implementation);
    let first = &good["profiles"][0];
    assert_eq!(first["name"], "GATEWAY-HTTP");
    assert_eq!(first["summary"], "Core tests succeeded. Extended tests succeeded.");
    assert_eq!(first["core"]["statistics"], json!({ "Failed": 0, "Passed": 37, "Skipped": 0 }));
    assert_eq!(first["extended"]["supportedFeatures"].as_array().unwrap().len(), 38);
    assert_eq!(first["extended"]["unsupportedFeatures"], Value::Null);
    let provisional = good["succeededProvisionalTests"].as_array().unwrap();
    assert_eq!(provisional.len(), all().iter().filter(|it| it.is_provisional).count());

    results.insert("http_route_weight".to_owned(), false);
    results.remove("udp_route");
    let bad = report(&results, json!({}));
    let core = &bad["profiles"][0]["core"];
    assert_eq!(core["result"], "failure");
    assert_eq!(core["failedTests"], json!(["HTTPRouteWeight"]));
    assert_eq!(bad["profiles"][4]["core"]["result"], "partial");
    assert_eq!(bad["profiles"][4]["core"]["skippedTests"], json!(["UDPRoute"]));
}

/// Runs all cases in a process of their own and repeats what it prints.
fn run() -> Results {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--skip", "cases::", "--skip", "report::"]).env_remove(FILE);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut results = Results::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        println!("{line}");
        let result = line.strip_prefix("test ").and_then(|it| it.split_once(" ... "));
        if let Some((name, result @ ("ok" | "FAILED"))) = result {
            let name = name.rsplit("::").next().unwrap_or(name);
            results.insert(name.to_owned(), result == "ok");
        }
    }
    child.wait().unwrap();
    results
}

/// With what is said of the implementation in place of what is known of it.
fn report(results: &Results, said: Value) -> Value {
    let mut implementation = json!({
        "organization": "", "project": "lb", "url": "", "version": env!("CARGO_PKG_VERSION"),
        "contact": [],
    });
    if let (Some(known), Value::Object(said)) = (implementation.as_object_mut(), said) {
        known.extend(said);
    }
    let provisional = all().into_iter().filter(|it| it.is_provisional);
    let passed = provisional.filter(|it| results.get(it.test) == Some(&true));
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ConformanceReport",
        "date": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "gatewayAPIChannel": "experimental",
        "gatewayAPIVersion": "v1.6.1",
        "mode": "default",
        "implementation": implementation,
        "profiles": PROFILES.iter().map(|it| of_profile(it, results)).collect::<Vec<_>>(),
        "succeededProvisionalTests": sorted(passed),
    })
}

fn of_profile(profile: &Profile, results: &Results) -> Value {
    let (core, core_summary) = of_level("Core", |it| it.is_core(profile), results);
    let (mut extended, summary) = of_level("Extended", |it| it.is_extended(profile), results);
    let (supported, unsupported): (Vec<_>, Vec<_>) =
        profile.extended().into_iter().map(Feature::name).partition(|it| FEATURES.contains(it));
    extended["supportedFeatures"] = json!(supported);
    if !unsupported.is_empty() {
        extended["unsupportedFeatures"] = json!(unsupported);
    }
    json!({
        "name": profile.name,
        "summary": format!("{core_summary} {summary}"),
        "core": core,
        "extended": extended,
    })
}

/// What came of a profile's tests of one level, and that in words.
fn of_level(name: &str, is_of_it: impl Fn(&Case) -> bool, results: &Results) -> (Value, String) {
    let cases: Vec<_> =
        all().into_iter().filter(|it| it.upstream.is_some() && is_of_it(it)).collect();
    let that = |wanted: Option<bool>| {
        sorted(cases.iter().copied().filter(|it| results.get(it.test).copied() == wanted))
    };
    let (passed, failed, skipped) = (that(Some(true)), that(Some(false)), that(None));
    let (result, words) = match (failed.len(), skipped.len()) {
        (0, 0) => ("success", "succeeded".to_owned()),
        (0, count) => ("partial", format!("partially succeeded with {count} test skips")),
        (count, _) => ("failure", format!("failed with {count} test failures")),
    };
    let mut level = json!({
        "result": result,
        "statistics": {
            "Passed": passed.len(), "Failed": failed.len(), "Skipped": skipped.len(),
        },
    });
    for (field, tests) in [("failedTests", failed), ("skippedTests", skipped)] {
        if !tests.is_empty() {
            level[field] = json!(tests);
        }
    }
    (level, format!("{name} tests {words}."))
}

fn sorted<'a>(cases: impl Iterator<Item = &'a Case>) -> Vec<&'a str> {
    let mut names: Vec<_> = cases.filter_map(|it| it.upstream).collect();
    names.sort_unstable();
    names
}
