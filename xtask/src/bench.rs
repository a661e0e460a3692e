//! `cargo xtask bench`: measures: packets and requests against rivals, clusters on a real API server.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::Args;

use crate::product::{self, Profile};

/// Options of `cargo xtask bench`
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure, and how: `l4`, `l7` or `kube`, `[--quick]`; passed on to lb-bench
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    product::run(root, Profile::Release, "lb-bench", &options.arguments)
}
