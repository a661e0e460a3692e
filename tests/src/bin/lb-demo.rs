//! Balances real traffic in every mode, kills things under load, and prints what was lost.

use std::process::{self, ExitCode};
use std::thread;

use anyhow::Result;
use clap::Parser;
use lb_tests::demo::{Outcome, run};
use lb_tests::lab::remove_own;
use lb_tests::wait::told_to_end;

/// The exit status of a command that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// Balance real traffic in every mode, kill things under load, print what was lost
#[derive(Parser)]
struct Options {
    /// TCP connections, and UDP exchanges, for each mode and family
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    connections: u64,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    thread::spawn(take_down_when_told);
    let Outcome { connection_count, unexpected_count } = run(options.connections)?;
    println!("demo: {connection_count} connections, {unexpected_count} unexpected failures");
    Ok(if unexpected_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A signal would end the process without taking the lab down.
fn take_down_when_told() -> Result<()> {
    told_to_end()?;
    println!("\ninterrupted: taking the lab down");
    if let Err(error) = remove_own() {
        eprintln!("{error:#}");
    }
    process::exit(INTERRUPTED)
}
