//! Runs the programs of the `tests` crate that need the product itself.

use std::{ffi::OsString, path::Path};

use anyhow::Result;

use crate::{
    command,
    setup::{self, Scope},
};

/// How the product is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly: packets are handled by the kernel programs, which are always optimised.
    Dev,
    /// For timings of user space.
    Release,
}

/// Sets up, builds and then becomes the named program with these arguments.
pub(crate) fn run(root: &Path, profile: Profile, bin: &str, arguments: &[OsString]) -> Result<()> {
    setup::ensure(Scope::Lab)?;
    let profile: &[&str] = match profile {
        Profile::Dev => &[],
        Profile::Release => &["--release"],
    };
    // Built whole, since these programs start lbd and lbctl from beside them.
    let mut build = command::cargo(root);
    build.args(["build", "--bins", "--package", "lb-userspace", "--package", "lb-tests"]);
    command::run(build.args(profile))?;
    let mut cargo = command::cargo(root);
    cargo.args(["run", "--quiet", "--package", "lb-tests", "--bin", bin]).args(profile).arg("--");
    command::become_it(cargo.args(arguments))
}
