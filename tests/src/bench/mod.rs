//! `lb-bench`: measures against rivals, alternating in one run, and against a real API server.

pub mod args;
pub mod command;
pub mod kube;
pub mod l4;
pub mod l7;
pub mod spread;

use anyhow::{Result, ensure};

use args::{Format, Request};

/// Runs what the command line asks for.
pub fn run(words: impl IntoIterator<Item = String>) -> Result<()> {
    let mut failures = Vec::new();
    let (text, json) = match Request::parse(words)? {
        Request::Help => {
            print!("{}", args::USAGE);
            return Ok(());
        }
        Request::L4 { rounds_count, format } => {
            let report = l4::run(rounds_count)?;
            (report.text(), (format == Format::Json).then(|| report.json()).transpose()?)
        }
        Request::Kube { options, format } => {
            let report = kube::run(&options)?;
            (report.text(), (format == Format::Json).then(|| report.json()).transpose()?)
        }
        Request::L7 { options, format } => {
            let report = l7::run(&options)?;
            failures.clone_from(&report.failures);
            (report.text(), (format == Format::Json).then(|| report.json()).transpose()?)
        }
    };
    println!("{}", json.unwrap_or(text));
    ensure!(failures.is_empty(), "not measured: {}", failures.join("; "));
    Ok(())
}
