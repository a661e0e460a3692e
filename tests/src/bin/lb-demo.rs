//! Balances real traffic in every mode, kills things under load, and prints what was lost.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use lb_tests::demo::{Outcome, run};

/// Balance real traffic in every mode, kill things under load, print what was lost
#[derive(Parser)]
struct Options {
    /// TCP connections, and UDP exchanges, for each mode and family
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    connections: u64,
}

fn main() -> Result<ExitCode> {
    let Outcome { connection_count, unexpected_count } = run(Options::parse().connections)?;
    println!("demo: {connection_count} connections, {unexpected_count} unexpected failures");
    Ok(if unexpected_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
