//! The reference and the published schema are true to the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::support;
use lb_userspace::config;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

#[test]
fn the_reference_names_every_key_and_value() {
    let reference = references().concat();
    let words = words(&config::json_schema());
    assert!(words.len() > 200 && words.contains("idle_timeout") && words.contains("l2dsr"));
    let missing: Vec<&String> =
        words.iter().filter(|word| !reference.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "the reference does not mention {missing:?}");
}

#[test]
fn every_key_in_the_schema_says_what_it_is_for() {
    let mut bare = Vec::new();
    visit(&config::json_schema(), &mut |object| {
        for (key, value) in
            object.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if value.get("description").is_none() {
                bare.push(key.clone());
            }
        }
    });
    assert!(bare.is_empty(), "no description: {bare:?}");
}

#[test]
fn files_in_the_reference_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    support::fill(folder.path(), &["shop"]);
    for reference in references() {
        let files: Vec<&str> = reference.split("```yaml\n").skip(1).collect();
        assert!(!files.is_empty());
        for file in files {
            let (file, _) = file.split_once("```").unwrap();
            let checked = config::check_in(folder.path(), "reference", file);
            assert!(checked.diagnostics.is_empty(), "{}", checked.diagnostics);
        }
    }
}

/// To write the schema anew, run this test with `UPDATE_DOCS=1`.
#[test]
fn the_published_schema_is_fresh() {
    let path = doc("config.schema.json");
    let fresh = config::json_schema();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&fresh).unwrap() + "\n").unwrap();
    }
    let published: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        published == fresh,
        "docs/config.schema.json is stale: run this test with UPDATE_DOCS=1"
    );
}

/// Both halves of the reference.
fn references() -> [String; 2] {
    ["CONFIG.md", "CONFIG-PROXY.md"].map(|name| fs::read_to_string(doc(name)).unwrap())
}

fn doc(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Every key, and every value that is a fixed word.
fn words(schema: &Value) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    visit(schema, &mut |object| {
        let keys = object.get("properties").and_then(Value::as_object).into_iter().flatten();
        words.extend(keys.map(|(key, _)| key.clone()));
        let values = object.get("enum").and_then(Value::as_array).into_iter().flatten();
        let only = object.get("const").into_iter();
        words.extend(values.chain(only).filter_map(Value::as_str).map(str::to_owned));
    });
    words
}

fn visit(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| visit(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}
