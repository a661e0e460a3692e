//! `cargo xtask COMMAND`: everything a developer does, one command a file.

mod archive;
mod bench;
mod build;
mod check;
mod command;
mod conformance;
mod demo;
mod fuzz;
mod lab;
mod product;
mod setup;
mod strict;
mod test;
mod toolchain;
mod verify;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Parser;

/// What a developer does with this tree.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what building, testing and the lab need; prints each command before it runs it
    Setup(setup::Options),
    /// Build lbd and lbctl with the eBPF object inside
    Build(build::Options),
    /// Formatting, lints, documentation, licences, file sizes
    Check(check::Options),
    /// Run the tests
    Test(test::Options),
    /// Run the cases of the Gateway API and write a conformance report
    Conformance(conformance::Options),
    /// Raise, lower or show the laboratory of network namespaces
    Lab(lab::Options),
    /// Balance real connections in a laboratory and print what happened
    Demo(demo::Options),
    /// Measure against a rival
    Bench(bench::Options),
    /// Ask ours and its rivals what strict HTTP is, side by side
    Strict(strict::Options),
    /// Fuzz what reads the bytes of others
    Fuzz(fuzz::Options),
    /// Load every eBPF program on several kernels
    Verify(verify::Options),
}

fn main() -> ExitCode {
    match root().and_then(|root| run(&Task::parse(), &root)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task, root: &Path) -> Result<()> {
    match task {
        Task::Setup(options) => setup::run(options, root),
        Task::Build(options) => build::run(options, root),
        Task::Check(options) => check::run(options, root),
        Task::Test(options) => test::run(options, root),
        Task::Conformance(options) => conformance::run(options, root),
        Task::Lab(options) => lab::run(options, root),
        Task::Demo(options) => demo::run(options, root),
        Task::Bench(options) => bench::run(options, root),
        Task::Strict(options) => strict::run(options, root),
        Task::Fuzz(options) => fuzz::run(options, root),
        Task::Verify(options) => verify::run(options, root),
    }
}

/// The tree's root: the parent of this package, wherever cargo says that is now.
fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.parent().context("xtask has no parent directory")?;
    Ok(root.to_path_buf())
}
