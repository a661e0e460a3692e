//! `cargo xtask build`: lbd and lbctl, with the eBPF object inside.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    command,
    setup::{self, Scope},
};

/// Options of `cargo xtask build`
#[derive(Args)]
pub(crate) struct Options {
    /// Optimised
    #[arg(long)]
    release: bool,
    /// With libc inside too, so that they need no other file at run time
    #[arg(long = "static")]
    is_static: bool,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    setup::ensure(Scope::Build)?;
    let mut cargo = command::cargo(root);
    cargo.args(["build", "--package", "lb-userspace", "--bins"]);
    if options.release {
        cargo.arg("--release");
    }
    if options.is_static {
        // Named, although it is this machine: its flags are then not those of procedural macros.
        let target = host()?;
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.replace('-', "_").to_uppercase());
        cargo.env(flags, "-C target-feature=+crt-static").args(["--target", &target]);
    }
    command::run(&mut cargo)
}

/// What programs of this machine are built for.
fn host() -> Result<String> {
    let said = command::capture(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}
