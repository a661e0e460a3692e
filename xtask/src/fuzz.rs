//! `cargo xtask fuzz`: what reads the bytes of others, under cargo-fuzz.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::command;

/// Where the fuzz targets live, from the tree's root.
const FUZZ_DIR: &str = "tests/fuzz";

/// What is looked for are panics and broken promises. The memory sanitizers look for what safe code
/// cannot do, and would need a nightly compiler.
const SANITIZER: [&str; 2] = ["--sanitizer", "none"];

/// No input may take longer than this, seconds, a hundred times what any takes; and inputs may be long
/// from the start: some targets have none to begin with.
const HOW: [&str; 2] = ["-timeout=30", "-len_control=0"];

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
    if command::find_program("cargo-fuzz").is_none() {
        command::run(command::cargo(root).args(["install", "cargo-fuzz", "--locked"]))?;
    }
    let targets = match &options.target {
        Some(target) => vec![target.clone()],
        None => all_targets(root)?,
    };
    let limit = format!("-max_total_time={}", options.seconds);
    for target in &targets {
        let mut fuzz = command::cargo(root);
        fuzz.args(["fuzz", "run", "--fuzz-dir", FUZZ_DIR]).args(SANITIZER).arg(target);
        fuzz.args(inputs(root, target)?).args(["--", &limit]).args(HOW);
        command::run(&mut fuzz)?;
    }
    Ok(())
}

/// Folders of inputs to begin with; what is found goes to the first.
fn inputs(root: &Path, target: &str) -> Result<Vec<PathBuf>> {
    let fuzz = Path::new(FUZZ_DIR);
    let found = fuzz.join("corpus").join(target);
    fs::create_dir_all(root.join(&found))?;
    let seeds = [fuzz.join("seeds").join(target), Path::new("tests/corpus").join(target)];
    let seeds = seeds.into_iter().filter(|folder| root.join(folder).is_dir());
    Ok([found].into_iter().chain(seeds).collect())
}

fn all_targets(root: &Path) -> Result<Vec<String>> {
    let mut list = command::cargo(root);
    let list = command::capture(list.args(["fuzz", "list", "--fuzz-dir", FUZZ_DIR]))?;
    Ok(list.lines().map(str::to_owned).collect())
}
