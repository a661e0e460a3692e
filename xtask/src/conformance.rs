//! `cargo xtask conformance`: runs the cases of the Gateway API and writes a report in the format
//! of the upstream suite.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    command,
    setup::{self, Scope},
};

/// Options of `cargo xtask conformance`
#[derive(Args)]
pub(crate) struct Options {
    /// Where the report goes
    #[arg(short, long, value_name = "FILE", default_value = "target/conformance-report.yaml")]
    output: PathBuf,
    /// Who made the implementation, for the report
    #[arg(long, value_name = "NAME", default_value = "")]
    organization: String,
    /// Name of the implementation
    #[arg(long, value_name = "NAME", default_value = "lb")]
    project: String,
    /// Where it is to be found
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
    /// Whom to ask: addresses or `@NAME`, several with commas between
    #[arg(long, value_name = "CONTACT", value_delimiter = ',')]
    contact: Vec<String>,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    setup::ensure(Scope::Lab)?;
    // The cases start lbd from beside them.
    let mut build = command::cargo(root);
    command::run(build.args(["build", "--bins", "--package", "lb-userspace"]))?;
    let here = env::current_dir().context("there is no current directory")?;
    let mut cargo = command::cargo(root);
    let implementation = serde_json::json!({
        "organization": options.organization,
        "project": options.project,
        "url": options.url,
        "contact": options.contact,
    });
    cargo.env("LB_CONFORMANCE_REPORT", here.join(&options.output));
    cargo.env("LB_CONFORMANCE_IMPLEMENTATION", implementation.to_string());
    cargo.args(["test", "--package", "lb-tests", "--test", "gateway_api", "--", "--nocapture"]);
    command::run(cargo.args(["--exact", "report::a_report_of_all_cases"]))?;
    eprintln!("conformance: {}", options.output.display());
    Ok(())
}
