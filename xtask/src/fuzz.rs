//! `cargo xtask fuzz`: arbitrary bytes through the pure packet path, under cargo-fuzz.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::command;

/// Where the fuzz targets live, from the tree's root.
const FUZZ_DIR: &str = "tests/fuzz";

/// Options of `cargo xtask fuzz`
#[derive(Args)]
pub(crate) struct Options {
    /// One target; without it all of them, one after the other
    target: Option<String>,
    /// Seconds for each target
    #[arg(default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    if !root.join(FUZZ_DIR).is_dir() {
        bail!("there is no {FUZZ_DIR}");
    }
    command::capture(&mut nightly_cargo(root, &["--version"]))
        .context("fuzzing needs a nightly compiler: `rustup toolchain install nightly`")?;
    if command::find_program("cargo-fuzz").is_none() {
        command::run(command::cargo(root).args(["install", "cargo-fuzz", "--locked"]))?;
    }
    let targets = match &options.target {
        Some(target) => vec![target.clone()],
        None => all_targets(root)?,
    };
    let limit = format!("-max_total_time={}", options.seconds);
    for target in &targets {
        let arguments = ["fuzz", "run", "--fuzz-dir", FUZZ_DIR, target, "--", &limit];
        command::run(&mut nightly_cargo(root, &arguments))?;
    }
    Ok(())
}

fn all_targets(root: &Path) -> Result<Vec<String>> {
    let list =
        command::capture(&mut nightly_cargo(root, &["fuzz", "list", "--fuzz-dir", FUZZ_DIR]))?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn nightly_cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    // The outer cargo's choice of a compiler must not reach the inner one.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").current_dir(root);
    command.args(["run", "nightly", "cargo"]).args(arguments);
    command
}
