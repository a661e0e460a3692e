//! `lbd run`.

use super::{lbd::InstanceArguments, output::Exit};
use crate::{
    observe::{self, LogFormat, Verbosity},
    runtime,
};
use anyhow::Result;
use std::path::PathBuf;

/// Arguments of `lbd run`.
#[derive(clap::Args)]
#[command(after_help = "\
Forwards in the network namespace it is started in. SIGHUP, or a change of the file, reloads it; a
file with errors changes nothing. SIGTERM and SIGINT end lbd and leave forwarding in place, as does
a crash: the next start adopts what runs without moving a flow.

Example:
  lbd run --config /etc/lb/lb.yaml --log-format json")]
pub(super) struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    instance: InstanceArguments,
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// Runs until stopped.
pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    observe::start(arguments.log_format, arguments.verbosity);
    runtime::run(&arguments.instance.resolve()?, &arguments.config)?;
    Ok(Exit::Done)
}
