//! What `deploy` installs is what the code says. `UPDATE_DOCS=1` writes the definition anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use lb_kube::{api::AddressPool, reads};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

fn base(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kustomize/base").join(file)
}

#[test]
fn the_definition_of_pools_is_that_of_the_code() {
    let file = base("address-pool-crd.yaml");
    let wanted = serde_saphyr::to_string(&AddressPool::definition()).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), wanted, "UPDATE_DOCS=1 writes it anew");
}

#[test]
fn roles_let_lbd_read_what_it_watches_and_no_more() {
    let text = fs::read_to_string(base("access.yaml")).unwrap();
    let mut granted = BTreeSet::new();
    for document in text.split("\n---\n") {
        let role: Value = serde_saphyr::from_str(document).unwrap();
        if role["kind"] != "ClusterRole" {
            continue;
        }
        for rule in role["rules"].as_array().unwrap() {
            let verbs: Vec<&str> = texts(&rule["verbs"]);
            if !verbs.contains(&"watch") {
                continue;
            }
            assert_eq!(verbs, ["get", "list", "watch"], "{rule}");
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    granted.insert((group.to_owned(), resource.to_owned()));
                }
            }
        }
    }
    let needed: BTreeSet<_> =
        reads().iter().map(|it| (it.group.to_owned(), it.resource.to_owned())).collect();
    assert_eq!(granted, needed);
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}
