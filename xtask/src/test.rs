//! `cargo xtask test`: the tests; the last lines are cargo's own.

use std::{env, ffi::OsString, path::Path};

use anyhow::Result;
use clap::Args;

use crate::{
    command,
    setup::{self, Scope, helm, kube_server},
};

/// From what proptest makes the inputs of properties; not set, they are other ones each time. A usual
/// run tells the same about the same sources each time.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";

/// Options of `cargo xtask test`
#[derive(Args)]
pub(crate) struct Options {
    /// Only the crates' own tests, none of the cases that need root and a kernel
    #[arg(long)]
    unit: bool,
    /// Run the tests that repeat something at their full length, and properties on inputs that are
    /// other ones each time
    #[arg(long)]
    full: bool,
    /// Run the tests whose name contains one of these
    filters: Vec<OsString>,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    setup::ensure(if options.unit { Scope::Build } else { Scope::Lab })?;
    let mut cargo = command::cargo(root);
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    if options.unit {
        cargo.args(["--exclude", "lb-tests"]);
    } else if !setup::is_root() {
        eprintln!(
            "test: not root: the cases that load programs and make namespaces will fail; \
             `cargo xtask test --unit` leaves them out"
        );
    }
    if options.full {
        cargo.env("LB_TEST_FULL", "1");
    } else if env::var_os(PROPERTY_SEED).is_none() {
        cargo.env(PROPERTY_SEED, "1");
    }
    if !options.unit && kube_server::find().is_none() {
        eprintln!(
            "test: no kube-apiserver: the cases of the Kubernetes agent run on a stand-in in the \
             tests' own process; `cargo xtask setup --kube-server` builds a real one"
        );
    }
    if !options.unit && helm::find().is_none() {
        eprintln!(
            "test: no helm: the chart and the kustomizations are taken as they were rendered when \
             they were recorded; `cargo xtask setup --helm` installs it"
        );
    }
    if !options.filters.is_empty() {
        cargo.arg("--").args(&options.filters);
    }
    command::become_it(&mut cargo)
}
