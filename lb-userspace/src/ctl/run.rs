//! `lbd run`.

use super::{lbd::InstanceArguments, output::Exit};
use crate::{
    observe::{self, LogFormat, Verbosity},
    runtime::{self, File, Start},
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
    /// Take the place of the lbd that runs the instance, if one does: its sockets, then its work.
    /// It lets what is open finish, and exits.
    #[arg(long)]
    take_over: bool,
    /// Where what clusters had is kept, to be served if their API servers are away at a start
    /// (default: beside the sockets, where a reboot forgets it).
    #[arg(long, value_name = "DIRECTORY")]
    state_directory: Option<PathBuf>,
    /// Name of the node that this is, for Services that want local endpoints: nodes that share a
    /// file differ in it (default: what the file says).
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
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
    let start = if arguments.take_over { Start::TakeOver } else { Start::Alone };
    let mut instance = arguments.instance.resolve()?;
    if let Some(directory) = &arguments.state_directory {
        instance = instance.with_state(directory);
    }
    let file = File { path: arguments.config.clone(), node: arguments.node.clone() };
    runtime::run(&instance, &file, start)?;
    Ok(Exit::Done)
}
