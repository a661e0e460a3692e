use super::*;
use crate::{Cluster, ObjectKey, ObjectKind, World, lower};
use proptest::prelude::*;
use std::{fs, path::Path};

fn options(name: &str) -> ClusterOptions {
    ClusterOptions {
        name: name.to_owned(),
        kubeconfig: None,
        context: None,
        namespaces: Vec::new(),
        weight: 100,
    }
}

fn written(objects: &Objects, assigned: &Assigned) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, &options("blue"), objects, assigned).unwrap();
    bytes
}

fn objects() -> Objects {
    let mut objects = Objects::default();
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "namespace": "a", "name": "tls" }, "stringData": { "key": "x\ny" },
    });
    assert!(objects.insert(secret).unwrap());
    objects
}

/// What all documents of a file make, as one cluster.
fn lowered(objects: Objects) -> crate::Lowered {
    let cluster = Cluster { name: "one".into(), weight: 100, objects };
    lower(&World { clusters: vec![cluster], leads: true, ..World::default() })
}

#[test]
fn what_is_read_is_lowered_to_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/cases");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().is_some_and(|it| it.ends_with(".out.yaml")) {
            continue;
        }
        let mut objects = Objects::default();
        for document in fs::read_to_string(&path).unwrap().split("\n---\n") {
            let value: Value = serde_saphyr::from_str(document).unwrap();
            let kind = value.get("kind").and_then(Value::as_str).unwrap_or("Cluster");
            if !matches!(kind, "Cluster" | "Options") {
                assert!(objects.insert(value).unwrap(), "{document}");
            }
        }
        let saved = read(&written(&objects, &Assigned::new()), &options("blue")).unwrap();
        assert_eq!(saved.unreadable_count, 0, "{}", path.display());
        assert_eq!(lowered(saved.objects), lowered(objects), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "no cases");
}

#[test]
fn addresses_without_a_status_are_kept_too() {
    let key = ObjectKey::new("a", "web");
    let owner = ObjectId { cluster: "blue".into(), kind: ObjectKind::Gateway, key };
    let assigned = Assigned::from([(owner, vec!["192.0.2.7".parse().unwrap()])]);
    let saved = read(&written(&objects(), &assigned), &options("blue")).unwrap();
    assert_eq!(saved.assigned, assigned);
    assert_eq!(saved.objects.secrets.len(), 1);
}

#[test]
fn a_state_of_another_cluster_is_not_used() {
    let bytes = written(&objects(), &Assigned::new());
    let elsewhere =
        ClusterOptions { kubeconfig: Some("other".into()), weight: 7, ..options("blue") };
    for other in [options("green"), elsewhere] {
        assert!(matches!(read(&bytes, &other), Err(Unusable::Other)), "{other:?}");
    }
    let heavier = ClusterOptions { weight: 7, ..options("blue") };
    assert!(read(&bytes, &heavier).is_ok(), "a weight changes nothing of what it has");
}

#[test]
fn whatever_is_damaged_is_noticed() {
    let bytes = written(&objects(), &Assigned::new());
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], &options("blue")).is_err(), "cut to {length}");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(read(&damaged, &options("blue")).is_err(), "byte {place}");
    }
    let newer = [b"lb saved cluster 2".as_slice(), &bytes[MAGIC.len()..]].concat();
    assert!(matches!(read(&newer, &options("blue")), Err(Unusable::Version)));
}

#[test]
fn an_object_that_this_version_cannot_read_hurts_no_other() {
    let mut bytes = written(&objects(), &Assigned::new());
    let end = bytes.windows(5).rposition(|it| it == b"\nend ").unwrap() + 1;
    bytes.truncate(end);
    bytes.extend(b"Service {\"metadata\":{\"name\":1}}\nFutureKind {}\n");
    let sum = hex(&Sha256::digest(&bytes));
    bytes.extend(format!("{END} {sum}\n").bytes());
    let saved = read(&bytes, &options("blue")).unwrap();
    assert_eq!((saved.unreadable_count, saved.objects.secrets.len()), (1, 1));
}

proptest! {
    #[test]
    fn lines_of_any_kind_hurt_no_object(lines in prop::collection::vec(line(), 0..6)) {
        let mut bytes = written(&objects(), &Assigned::new());
        let end = bytes.windows(5).rposition(|it| it == b"\nend ").unwrap() + 1;
        bytes.truncate(end);
        for line in lines {
            bytes.extend(line);
            bytes.push(b'\n');
        }
        let sum = hex(&Sha256::digest(&bytes));
        bytes.extend(format!("{END} {sum}\n").bytes());
        let saved = read(&bytes, &options("blue")).unwrap();
        let key = ObjectKey::new("a", "tls");
        let before = objects();
        prop_assert_eq!(saved.objects.secrets.get(&key), before.secrets.get(&key));
    }
}

/// Something like a line of a saved state.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec!["assigned", "Service", "HTTPRoute", "Secret", "end", ""]);
    let value = "(\\{\"metadata\":|\\[)?[\\[{}\\]\",:a1. \\\\é-]{0,40}";
    let line = (name, value).prop_map(|(name, value)| format!("{name} {value}").into_bytes());
    prop_oneof![line, prop::collection::vec(any::<u8>(), 0..40)]
}
