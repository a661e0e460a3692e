//! The command lines: exit codes, and what goes to which stream.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

const GOOD: &str = "\
interfaces: [eth0]
services:
  - name: web
    mode: tunnel
    vips: [\"192.0.2.10:80/tcp\"]
    backends:
      - { name: a, address: 10.0.0.1 }
";

fn lbd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lbd")).args(arguments).output().unwrap()
}

/// `lbctl` about an instance that nobody ever ran.
fn lbctl(run_directory: &Path, arguments: &[&str]) -> Output {
    let directory = run_directory.to_str().unwrap();
    let instance = format!("cli-test-{}", std::process::id());
    Command::new(env!("CARGO_BIN_EXE_lbctl"))
        .args(["--run-directory", directory, "--instance", &instance])
        .args(arguments)
        .output()
        .unwrap()
}

fn file(text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lb.yaml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn help_lists_every_verb_and_exits_0() {
    let help = lbd(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for verb in ["run", "check", "diff", "decap", "detach", "schema"] {
        assert!(out(&help).contains(&format!("\n  {verb} ")), "{verb}: {}", out(&help));
    }
    let directory = tempfile::tempdir().unwrap();
    let help = lbctl(directory.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for verb in ["get", "status", "trace", "why", "metrics", "drain", "undrain"] {
        assert!(out(&help).contains(&format!("\n  {verb} ")), "{verb}: {}", out(&help));
    }
}

#[test]
fn wrong_usage_exits_2() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(lbd(&["check"]).status.code(), Some(2));
    assert_eq!(lbd(&["fly"]).status.code(), Some(2));
    for arguments in [
        &["drain", "web"][..],
        &["trace", "tcp", "2001:db8::1:80", "192.0.2.10:80"],
        &["trace", "dccp", "192.0.2.1:1", "192.0.2.10:80"],
        &["why"],
        &["why", "http://shop.example/", "-H", "no-colon"],
        &["get", "everything"],
        &["get", "vips", "-o", "xml"],
    ] {
        let output = lbctl(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn a_good_file_passes_the_check_without_output_on_stdout() {
    let (_directory, path) = file(GOOD);
    let output = lbd(&["check", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("1 services, 1 VIPs, 1 backends"), "{}", err(&output));
}

#[test]
fn a_bad_file_fails_the_check_with_its_place() {
    let (_directory, path) = file(&GOOD.replace("mode: tunnel", "mood: tunnel"));
    let output = lbd(&["check", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("lb.yaml:4:"), "{}", err(&output));
    assert_eq!(lbd(&["check", "/nonexistent/lb.yaml"]).status.code(), Some(1));
}

#[test]
fn a_bad_file_does_not_start_the_daemon() {
    let (directory, path) = file("services: 5\n");
    let run_directory = directory.path().to_str().unwrap();
    let output = lbd(&["run", "--config", &path, "--run-directory", run_directory]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("lb.yaml:1:"), "{}", err(&output));
}

#[test]
fn the_schema_is_json() {
    let output = lbd(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.get("$schema").is_some());
}

#[test]
fn a_missing_daemon_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for verb in ["drain", "undrain"] {
        let output = lbctl(directory.path(), &[verb, "web/a"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("lbd is not running"), "{}", err(&output));
    }
    for arguments in [&["get", "routes"][..], &["why", "http://shop.example/"], &["metrics"]] {
        let output = lbctl(directory.path(), arguments);
        assert_eq!((output.status.code(), out(&output)), (Some(1), ""));
        assert!(err(&output).contains("lbd is not running"), "{}", err(&output));
    }
    let output = lbctl(directory.path(), &["get", "vips"]);
    assert_eq!((output.status.code(), out(&output)), (Some(1), ""));
    assert!(err(&output).contains("lbd is not running"), "{}", err(&output));
    assert!(err(&output).contains("no data plane is pinned"), "{}", err(&output));
}

#[test]
fn an_instance_name_cannot_leave_its_directory() {
    let output = lbd(&["detach", "--instance", "../x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("not an instance name"), "{}", err(&output));
}
