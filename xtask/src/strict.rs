//! `cargo xtask strict`: how exactly ours and its rivals take HTTP, asked over real sockets.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::Args;

use crate::product::{self, Profile};

/// Options of `cargo xtask strict`
#[derive(Args)]
pub(crate) struct Options {
    /// Whom to ask and what: `--against nginx --only host-`; passed on to lb-strict
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    product::run(root, Profile::Dev, "lb-strict", &options.arguments)
}
