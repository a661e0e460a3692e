//! The file source against damaged, hostile and very large input, and files that cannot be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use lb_common::limits;
use lb_userspace::config;
use proptest::{collection, prelude::*, sample::select};
use std::{fmt::Write, fs, net::Ipv4Addr, path::Path};

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn arbitrary_yaml_never_panics(text in "[ \\-:{}\\[\\],&*!|>'\"%@`#~?<a-c0-9\n\t\r]{0,200}") {
        check(&text)?;
    }

    #[test]
    fn damaged_files_never_panic(
        text in select(valid_texts()),
        damage in collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        check(&String::from_utf8_lossy(&bytes))?;
    }
}

#[test]
fn a_file_cut_anywhere_never_panics() {
    for text in valid_texts() {
        for (at, _) in text.char_indices().step_by(7) {
            check(&text[..at]).unwrap();
        }
    }
}

#[test]
fn order_of_services_and_backends_means_nothing() {
    let service = |name: &str, port: u16, backends: [&str; 2]| {
        let hosts = backends.map(|b| format!("{{ name: {b}, address: 10.0.0.{} }}", &b[1..]));
        let hosts = hosts.join(", ");
        format!("  - {{ name: {name}, vips: [\"192.0.2.1:{port}/tcp\"], backends: [{hosts}] }}\n")
    };
    let head = "interfaces: [eth0]\nservices:\n";
    let one = [head, &service("a", 1, ["b1", "b2"]), &service("b", 2, ["b3", "b4"])].concat();
    let two = [head, &service("b", 2, ["b4", "b3"]), &service("a", 1, ["b2", "b1"])].concat();
    assert_eq!(config::parse("one", &one).unwrap(), config::parse("two", &two).unwrap());
}

#[test]
fn a_file_at_the_limits_is_taken_and_one_beyond_is_not() {
    // Every backend counts once a VIP: 16 services x 256 VIPs x 16 backends are both limits.
    let desired = config::parse("full", &large(16, 256, 16)).unwrap();
    let vips: usize = desired.services.values().map(|service| service.vips.len()).sum();
    let backends: usize = desired.services.values().map(|s| s.vips.len() * s.backends.len()).sum();
    assert_eq!((vips, backends), (limits::VIPS_MAX as usize, limits::BACKENDS_MAX as usize));

    let shown = config::parse("vips", &large(17, 241, 1)).unwrap_err().to_string();
    assert!(shown.contains("4097 VIPs are more than the 4096"), "{shown}");
    let shown = config::parse("backends", &large(1, 257, 256)).unwrap_err().to_string();
    assert!(shown.contains("65792 backends over all VIPs are more than the 65536"), "{shown}");
}

#[test]
fn more_backends_than_a_ring_shares_evenly_are_taken_with_a_warning() {
    let checked = config::check("even", &large(1, 1, 655));
    assert!(checked.desired.is_some() && checked.diagnostics.is_empty());
    let checked = config::check("uneven", &large(1, 1, 656));
    assert!(checked.desired.is_some());
    let shown = checked.diagnostics.to_string();
    assert!(shown.starts_with("warning: service `s0` shares 65537 slots between 656"), "{shown}");
}

#[test]
fn amplification_by_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        writeln!(text, "a{level}: &a{level} [{inner}]").unwrap();
    }
    assert!(config::parse("bomb", &text).is_err());
    let nested = format!("interfaces: {}", "[".repeat(100_000));
    assert!(config::parse("nested", &nested).is_err());
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let shown = |path: &Path| {
        let shown = config::load(path).unwrap_err().to_string();
        shown.replace(directory.path().to_str().unwrap(), "DIR")
    };
    let path = directory.path().join("lb.yaml");
    insta::assert_snapshot!(shown(&path), @r"
    error: cannot read the file: No such file or directory (os error 2)
     --> DIR/lb.yaml
    ");
    insta::assert_snapshot!(shown(directory.path()), @r"
    error: this is not a regular file
     --> DIR
      = hint: give the path of a YAML file
    ");
    fs::write(&path, b"interfaces:\n  - \xff\n").unwrap();
    insta::assert_snapshot!(shown(&path), @r"
    error: line 2 is not UTF-8
     --> DIR/lb.yaml
      = hint: save the file as UTF-8
    ");
    let file = fs::File::create(&path).unwrap();
    file.set_len(config::CONFIG_BYTES_MAX + 1).unwrap();
    insta::assert_snapshot!(shown(&path), @r"
    error: the file is larger than 16 MiB
     --> DIR/lb.yaml
      = hint: a configuration of that size is outside the limits of the data plane
    ");
}

#[test]
fn a_good_file_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lb.yaml");
    for text in valid_texts() {
        fs::write(&path, &text).unwrap();
        let checked = config::check_in(directory.path(), "text", &text);
        assert_eq!(config::check_file(&path).desired, checked.desired);
    }
}

/// A text is taken, or refused with a reason that points into it.
fn check(text: &str) -> Result<(), TestCaseError> {
    let checked = config::check("f", text);
    prop_assert_eq!(checked.desired.is_none(), checked.diagnostics.has_errors());
    let shown = checked.diagnostics.to_string();
    prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{:?}", shown);
    // One more than the lines: a file may end too early.
    let lines = text.split(['\n', '\r']).count() + 1;
    for diagnostic in checked.diagnostics.iter() {
        prop_assert!(diagnostic.line.is_none_or(|line| line as usize <= lines), "{}", shown);
    }
    Ok(())
}

fn valid_texts() -> Vec<String> {
    ["../deploy/examples", "../tests/corpus/config/valid"]
        .into_iter()
        .flat_map(|directory| {
            fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap()
        })
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// So many services, with so many VIPs and backends each.
fn large(services: usize, vips: usize, backends: usize) -> String {
    let mut text = "interfaces: [eth0]\nservices:\n".to_owned();
    for service in 0..services {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + service as u32);
        let list = |count: usize, item: &dyn Fn(usize) -> String| {
            (1..=count).map(item).collect::<Vec<_>>().join(", ")
        };
        let vips = list(vips, &|port| format!("\"{address}:{port}/tcp\""));
        let backends =
            list(backends, &|n| format!("{{ name: b{n}, address: 11.0.{}.{} }}", n >> 8, n & 255));
        writeln!(text, "  - {{ name: s{service}, vips: [{vips}], backends: [{backends}] }}")
            .unwrap();
    }
    text
}
