//! Runs the programs of the `tests` crate that need the product itself.

use std::{ffi::OsString, path::Path};

use anyhow::Result;

use crate::{
    command,
    setup::{self, Scope},
};

/// Sets up, builds and then becomes the named program with these arguments.
pub(crate) fn run(root: &Path, bin: &str, arguments: &[OsString]) -> Result<()> {
    setup::ensure(Scope::Lab)?;
    // Built whole, since these programs start lbd and lbctl from beside them.
    let build =
        ["build", "--release", "--bins", "--package", "lb-userspace", "--package", "lb-tests"];
    command::run(command::cargo(root).args(build))?;
    let mut cargo = command::cargo(root);
    cargo.args(["run", "--quiet", "--release", "--package", "lb-tests", "--bin", bin, "--"]);
    command::become_it(cargo.args(arguments))
}
