//! `cargo xtask demo`: a laboratory balances real connections and the outcome is printed.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::Args;

use crate::product::{self, Profile};

/// Options of `cargo xtask demo`
#[derive(Args)]
pub(crate) struct Options {
    /// Passed on to lb-demo
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    product::run(root, Profile::Dev, "lb-demo", &options.arguments)
}
