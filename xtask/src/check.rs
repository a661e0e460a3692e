//! `cargo xtask check`: formatting, sizes, lints, documentation, licences and sources.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;

use crate::{
    command,
    setup::{self, Scope},
    toolchain::Toolchain,
};

/// No source file is longer, in lines: one concept a file.
const LINES_MAX: usize = 450;

/// The cargo-deny that is installed where there is none.
const DENY_VERSION: &str = "0.20.2";

/// Packages outside the workspace, each with a lock file of its own.
const OUTSIDERS: [&str; 2] = ["lb-ebpf", "tests/fuzz"];

/// Options of `cargo xtask check`
#[derive(Args)]
pub(crate) struct Options {
    /// Also look for known vulnerabilities, which downloads the list of them
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    formatting(root)?;
    sizes(root)?;
    setup::ensure(Scope::Build)?;
    lints(root)?;
    ebpf_warnings(root)?;
    documentation(root)?;
    dependencies(root, options.advisories)?;
    eprintln!("check: all good");
    Ok(())
}

fn formatting(root: &Path) -> Result<()> {
    command::run(command::cargo(root).args(["fmt", "--all", "--check"]))?;
    for manifest in outsiders(root) {
        let arguments = ["fmt", "--check", "--manifest-path"];
        command::run(command::cargo(root).args(arguments).arg(manifest))?;
    }
    Ok(())
}

fn lints(root: &Path) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    command::run(command::cargo(root).args(arguments))
}

/// Debian's eBPF compiler has no clippy that goes with it: the compiler's own warnings then.
fn ebpf_warnings(root: &Path) -> Result<()> {
    let toolchain = Toolchain::find().map_err(|why| anyhow!(why))?;
    let target_dir = target_directory(root)?.join("ebpf-check");
    command::run(&mut toolchain.build(&root.join("lb-ebpf"), &target_dir, &["-Dwarnings"]))
}

fn documentation(root: &Path) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    command::run(command::cargo(root).env("RUSTDOCFLAGS", "-D warnings").args(arguments))
}

fn dependencies(root: &Path, advisories: bool) -> Result<()> {
    if command::find_program("cargo-deny").is_none() {
        let arguments = ["install", "cargo-deny", "--locked", "--version", DENY_VERSION];
        command::run(command::cargo(root).args(arguments))?;
    }
    let manifests = [root.join("Cargo.toml")].into_iter().chain(outsiders(root));
    for manifest in manifests {
        let mut deny = command::cargo(root);
        deny.args(["deny", "--locked", "--config"]).arg(root.join("deny.toml"));
        deny.arg("--manifest-path").arg(manifest).args(["check", "--hide-inclusion-graph"]);
        deny.args(["bans", "licenses", "sources"]);
        if advisories {
            deny.arg("advisories");
        }
        command::run(&mut deny)?;
    }
    Ok(())
}

/// Fails with the list of the files that are too long.
fn sizes(root: &Path) -> Result<()> {
    let mut sources = Vec::new();
    collect_sources(root, &mut sources)?;
    let mut too_long = Vec::new();
    for source in sources {
        let text = fs::read_to_string(&source)
            .with_context(|| format!("could not read {}", source.display()))?;
        let lines_count = text.lines().count();
        if lines_count > LINES_MAX {
            let name = source.strip_prefix(root).unwrap_or(&source);
            too_long.push(format!("  {} has {lines_count} lines", name.display()));
        }
    }
    if !too_long.is_empty() {
        too_long.sort();
        bail!("files of more than {LINES_MAX} lines:\n{}", too_long.join("\n"));
    }
    Ok(())
}

/// Every `.rs` file below, except what a build made and what is hidden.
fn collect_sources(directory: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || format!("could not list {}", directory.display());
    for entry in directory.read_dir().with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.');
        let is_built = path.join("CACHEDIR.TAG").exists();
        if entry.file_type().with_context(unreadable)?.is_dir() {
            if !is_hidden && !is_built {
                collect_sources(&path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn outsiders(root: &Path) -> impl Iterator<Item = PathBuf> {
    let manifests = OUTSIDERS.map(|package| root.join(package).join("Cargo.toml"));
    manifests.into_iter().filter(|manifest| manifest.is_file())
}

/// Where cargo puts what it builds, which the environment or a configuration may have moved.
fn target_directory(root: &Path) -> Result<PathBuf> {
    let mut metadata: Command = command::cargo(root);
    let text = command::capture(metadata.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let directory = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(directory.context("cargo metadata names no target directory")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_package_is_found_and_within_the_limit() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = Vec::new();
        collect_sources(package, &mut sources).unwrap();
        assert!(sources.contains(&package.join("src/check.rs")), "{sources:?}");
        sizes(package).unwrap();
    }

    #[test]
    fn a_long_file_is_named_with_its_length() {
        let name = format!("lb-xtask-sizes-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("good.rs"), "\n".repeat(LINES_MAX)).unwrap();
        fs::write(directory.join("long.rs"), "\n".repeat(LINES_MAX + 1)).unwrap();
        let error = sizes(&directory).unwrap_err().to_string();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(error, "files of more than 450 lines:\n  long.rs has 451 lines");
    }
}
