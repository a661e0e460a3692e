//! The file corpus: every invalid file with its exact diagnostics, every valid one with what it
//! asks for. A file without a snapshot fails, and so does a snapshot without a file.
//!
//! To add a case, put the file into the corpus, run with `INSTA_UPDATE=always`, and read the
//! snapshot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lb_userspace::{config, model::Desired};
use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/config");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples");
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/snapshots/config");

#[test]
fn invalid_files_get_their_diagnostics() {
    let files = files(&Path::new(CORPUS).join("invalid"));
    assert!(files.len() >= 60, "{} files", files.len());
    each(&files, "invalid", |name, text| {
        let checked = config::check(name, text);
        assert!(checked.desired.is_none(), "{name} was taken");
        assert!(checked.diagnostics.has_errors(), "{name} was refused without a word");
        for diagnostic in checked.diagnostics.iter() {
            assert!(diagnostic.line.is_some(), "{name}: without a place: {diagnostic}");
        }
        checked.diagnostics.to_string()
    });
}

#[test]
fn valid_files_become_desired() {
    let files = files(&Path::new(CORPUS).join("valid"));
    assert!(files.len() >= 8, "{} files", files.len());
    each(&files, "valid", desired);
}

#[test]
fn examples_are_valid_without_a_warning() {
    let files = files(Path::new(EXAMPLES));
    assert!(files.len() >= 3, "{} files", files.len());
    each(&files, "example", |name, text| {
        assert!(config::check(name, text).diagnostics.is_empty(), "{name} has diagnostics");
        desired(name, text)
    });
}

#[test]
fn no_snapshot_has_lost_its_file() {
    let directories = [
        ("invalid", Path::new(CORPUS).join("invalid")),
        ("valid", Path::new(CORPUS).join("valid")),
        ("example", PathBuf::from(EXAMPLES)),
    ];
    let wanted: BTreeSet<String> = directories
        .iter()
        .flat_map(|(kind, directory)| {
            files(directory).into_iter().map(move |file| format!("{kind}__{}.snap", stem(&file)))
        })
        .collect();
    let found: BTreeSet<String> = fs::read_dir(SNAPSHOTS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let differing: Vec<&String> = found.symmetric_difference(&wanted).collect();
    assert!(differing.is_empty(), "file without snapshot, or the reverse: {differing:?}");
}

#[test]
fn json_output_says_the_same() {
    let error = config::parse("lb.yaml", "interfaces: []\nservices: []\n").unwrap_err();
    let list = serde_json::to_value(&error).unwrap();
    insta::assert_snapshot!(list.to_string(), @r#"[{"column":13,"file":"lb.yaml","hint":"list those that traffic for VIPs arrives on, like `interfaces: [eth0]`","line":1,"message":"no interfaces","severity":"error"}]"#);
}

/// What the file asks for, below its warnings.
fn desired(name: &str, text: &str) -> String {
    let checked = config::check(name, text);
    let desired = checked.desired.unwrap_or_else(|| panic!("{name}:\n{}", checked.diagnostics));
    let json = serde_json::to_string_pretty(&desired).unwrap();
    assert_eq!(serde_json::from_str::<Desired>(&json).unwrap(), desired);
    format!("{}{json}", checked.diagnostics)
}

/// Compares each file with its snapshot, and goes on after one that differs.
fn each(files: &[PathBuf], kind: &str, show: impl Fn(&str, &str) -> String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots/config");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let shown = show(name, &fs::read_to_string(file).unwrap());
        let compare = || insta::assert_snapshot!(format!("{kind}__{}", stem(file)), shown);
        if settings.bind(|| catch_unwind(compare)).is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:?}", wrong.len(), files.len());
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}
