//! The file corpus: every invalid file with its exact diagnostics, every valid one with what it
//! asks for. A file without a snapshot fails, and so does a snapshot without a file.
//!
//! To add a case, put the file into the corpus, run with `INSTA_UPDATE=always`, and read the
//! snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::support;
use lb_userspace::{
    config::{self, Checked},
    model::Desired,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/config");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples");
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/snapshots/config");

/// Where the files of the corpus seem to be.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    support::fill(folder.path(), &["shop", "other"]);
    folder
});

#[test]
fn invalid_files_get_their_diagnostics() {
    let files = files(&Path::new(CORPUS).join("invalid"));
    assert!(files.len() >= 140, "{} files", files.len());
    each(&files, "invalid", |name, text| {
        let checked = check(name, text);
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
    assert!(files.len() >= 12, "{} files", files.len());
    each(&files, "valid", desired);
}

#[test]
fn examples_are_valid_without_a_warning() {
    let files = files(Path::new(EXAMPLES));
    assert!(files.len() >= 3, "{} files", files.len());
    each(&files, "example", |name, text| {
        assert!(check(name, text).diagnostics.is_empty(), "{name} has diagnostics");
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
    let error = config::parse("lb.yaml", "interfaces: [a/b]\nservices: []\n").unwrap_err();
    let list = serde_json::to_value(&error).unwrap();
    insta::assert_snapshot!(list.to_string(), @r#"[{"column":14,"file":"lb.yaml","hint":"an interface name has no `/`, `:` or space; `ip link` shows the names","line":1,"message":"`a/b` cannot be an interface name","severity":"error"}]"#);
}

#[test]
fn secrets_are_in_no_output() {
    let text = fs::read_to_string(Path::new(CORPUS).join("valid/proxy-everything.yaml")).unwrap();
    let checked = check("proxy-everything.yaml", &text);
    let desired = checked.desired.unwrap();
    let shown = format!("{desired:?}{}", serde_json::to_string(&desired).unwrap());
    assert!(shown.contains("(secret)") && shown.contains("alice"));
    let key = fs::read_to_string(FOLDER.path().join("tls/shop.key")).unwrap();
    let body = key.lines().nth(1).unwrap();
    assert!(!shown.contains(body) && !shown.contains("{PLAIN}"), "{shown}");
    assert_eq!(desired.proxy.certificates["shop"].key.expose(), key.as_bytes());
}

/// What the file asks for, below its warnings.
fn desired(name: &str, text: &str) -> String {
    let checked = check(name, text);
    let desired = checked.desired.unwrap_or_else(|| panic!("{name}:\n{}", checked.diagnostics));
    let mut json = serde_json::to_value(&desired).unwrap();
    // Secrets do not come back, so that what came back is compared as it is shown.
    let back: Desired = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
    readable(&mut json);
    format!("{}{}", checked.diagnostics, serde_json::to_string_pretty(&json).unwrap())
}

fn check(name: &str, text: &str) -> Checked {
    config::check_in(FOLDER.path(), name, text)
}

/// What says something: bytes as text, certificates (which differ from run to run) as what they
/// are, times in short; nothing that is empty.
fn readable(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (key.as_str(), bytes(value)) {
                    ("chain" | "authorities", Some(_)) => *value = "(PEM)".into(),
                    ("body" | "ocsp", Some(bytes)) => {
                        *value = String::from_utf8_lossy(&bytes).into();
                    }
                    _ => readable(value),
                }
            }
            object.retain(|_, value| !is_empty(value));
            if let (Some(secs), Some(nanos)) = (object.get("secs"), object.get("nanos")) {
                *value = format!("{secs}.{:03}s", nanos.as_u64().unwrap() / 1_000_000).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(readable),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_array()?.iter().map(|it| u8::try_from(it.as_u64()?).ok()).collect()
}

/// Compares each file with its snapshot, and goes on after one that differs.
fn each(files: &[PathBuf], kind: &str, show: impl Fn(&str, &str) -> String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/snapshots/config");
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
