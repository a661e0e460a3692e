//! Objects in, what to run and what to say out: `cases/*.yaml` holds the objects (with
//! `# cluster: NAME` documents of other clusters after a document `kind: Cluster`), and beside it
//! `NAME.out.yaml` what comes of them. `UPDATE_CASES=1` writes the latter anew: read the diff.
//! Texts `{{chain NAME}}` and `{{key NAME}}` stand for a certificate made for the run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "a test"
)]

mod certificates;

use lb_kube::{AddressRange, Cluster, Objects, Options, Pool, World, lower};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, path::Path, sync::Arc};

#[test]
fn every_case_is_lowered_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/cases");
    let mut failures = Vec::new();
    let mut count = 0;
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".yaml") || name.ends_with(".out.yaml") {
            continue;
        }
        count += 1;
        let lowered = lower(&world(&fs::read_to_string(&path).unwrap()));
        let value = certificates::hidden(by_name(&lowered));
        let text = serde_saphyr::to_string(&value).unwrap();
        let recorded = path.with_extension("out.yaml");
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(&recorded, text).unwrap();
        } else if fs::read_to_string(&recorded).unwrap_or_default() != text {
            let produced = std::env::temp_dir().join(format!("{name}.produced"));
            fs::write(&produced, &text).unwrap();
            failures.push(format!(
                "{name}: compare {} with {}",
                recorded.display(),
                produced.display()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 0, "no cases");
}

/// JSON has no keys but texts.
fn by_name(lowered: &lb_kube::Lowered) -> Value {
    let statuses: serde_json::Map<_, _> = lowered
        .statuses
        .iter()
        .map(|(id, status)| (id.to_string(), serde_json::to_value(status).unwrap()))
        .collect();
    let mut value = serde_json::json!({
        "desired": lowered.desired,
        "statuses": statuses,
        "notices": lowered.notices,
    });
    if !lowered.infrastructure.is_empty() {
        value["infrastructure"] = serde_json::to_value(&lowered.infrastructure).unwrap();
    }
    value
}

/// Clusters named by documents `kind: Cluster`, the first `one`; options as a document
/// `kind: Options`; without it a pool `test` of 192.0.2.0/24 and 2001:db8::/120.
fn world(text: &str) -> World {
    let mut options = Options { pools: vec![pool()], ..Options::default() };
    let mut clusters =
        vec![Cluster { name: "one".into(), weight: 100, objects: Objects::default() }];
    for document in text.split("\n---\n") {
        let Some(value) = parse(document).map(certificates::filled) else { continue };
        match value.get("kind").and_then(Value::as_str) {
            Some("Cluster") => {
                let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap();
                clusters.push(Cluster {
                    name: name.into(),
                    weight: 100,
                    objects: Objects::default(),
                });
            }
            Some("Options") => options = Options::deserialize(&value["spec"]).unwrap(),
            _ => assert!(clusters.last_mut().unwrap().objects.insert(value).unwrap(), "{document}"),
        }
    }
    World {
        options: Arc::new(options),
        clusters,
        leads: true,
        now_seconds: 1_800_000_000,
        ..World::default()
    }
}

fn parse(document: &str) -> Option<Value> {
    let value: Value = serde_saphyr::from_str(document).unwrap();
    (!value.is_null()).then_some(value)
}

fn pool() -> Pool {
    let range = |first: &str, last: &str| AddressRange {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
    };
    Pool {
        name: "test".into(),
        ranges: vec![range("192.0.2.1", "192.0.2.254"), range("2001:db8::1", "2001:db8::ff")],
        auto_assign: true,
        ..Pool::default()
    }
}
