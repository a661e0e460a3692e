//! Objects of a cluster, as their owners may have written them. Must hold whatever they say: no panic,
//! the same result from nothing as after another state of the cluster, and one that can be run.
//!
//! The objects are those of lb-kube's replay cases, with values replaced and annotations added.
#![no_main]

mod edit;
mod run;

use std::{fs, path::Path, sync::Arc};

use lb_userspace::kube::{Cluster, Lowering, Objects, Options, Pool, World, lower};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use serde_json::Value;

use edit::Edits;

const CASES: &str = "../../lb-userspace/kube/tests/replay/cases";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    case: u8,
    edits: Edits<'a>,
}

thread_local! {
    static ALL: Vec<Vec<Value>> = cases();
}

fuzz_target!(|input: Input<'_>| ALL.with(|cases| {
    let case = &cases[usize::from(input.case) % cases.len()];
    check(case, input.edits.of(case));
}));

fn check(case: &[Value], edited: Vec<Value>) {
    let mut world = world(case);
    let mut lowering = Lowering::default();
    world.assigned = lowering.lower(&world).assigned;
    for (_, new) in case.iter().zip(edited).filter(|(old, new)| *old != new) {
        // What is of no shape is not taken.
        world.clusters[0].objects.insert(new).ok();
    }
    let from_nothing = lower(&world);
    assert_eq!(lowering.lower(&world), from_nothing, "it depends on what was before");
    run::run(&from_nothing.desired);
}

fn world(objects: &[Value]) -> World {
    let mut all = Objects::default();
    for object in objects {
        all.insert(object.clone()).unwrap();
    }
    let range = |text: &str| text.parse().unwrap();
    let pool = Pool {
        name: "test".into(),
        ranges: vec![range("192.0.2.1-192.0.2.254"), range("2001:db8::1-2001:db8::ff")],
        auto_assign: true,
        ..Pool::default()
    };
    World {
        options: Arc::new(Options { pools: vec![pool], ..Options::default() }),
        clusters: vec![Cluster { name: "one".into(), weight: 100, objects: all }],
        leads: true,
        now_seconds: 1_800_000_000,
        ..World::default()
    }
}

/// The objects of each case, those of its other clusters among them.
fn cases() -> Vec<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(CASES);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let cases = paths.iter().filter(|it| !it.to_string_lossy().ends_with(".out.yaml"));
    let cases = cases.map(|path| objects(&fs::read_to_string(path).unwrap()));
    cases.filter(|it| !it.is_empty()).collect()
}

fn objects(text: &str) -> Vec<Value> {
    let values = text.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).unwrap());
    let is_object =
        |it: &Value| it.get("kind").is_some_and(|kind| kind != "Cluster" && kind != "Options");
    values.filter(is_object).collect()
}
