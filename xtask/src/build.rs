//! `cargo xtask build`: lbd and lbctl, with the eBPF object inside.

use std::path::Path;

use anyhow::Result;
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
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    setup::ensure(Scope::Build)?;
    let mut cargo = command::cargo(root);
    cargo.args(["build", "--package", "lb-userspace", "--bins"]);
    if options.release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}
