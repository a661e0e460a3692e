//! docs/SPEC.md names the test that proves each promise: those tests must exist.

use std::{fs, path::Path};

const DOCUMENT: &str = include_str!("../../docs/SPEC.md");

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let quoted = DOCUMENT.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter_map(|text| text.split_once(".rs::")).collect();
    assert!(named.len() > 30, "{named:?}");
    for (file, test) in named {
        let source = fs::read_to_string(root.join(file).with_extension("rs"))
            .unwrap_or_else(|error| panic!("{file}.rs: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{file}.rs has no test {test}");
    }
}
