//! `lbd decap`.

use super::{lbd::InstanceArguments, output::Exit};
use crate::{
    dataplane,
    observe::{self, LogFormat, Verbosity},
};
use anyhow::Result;

/// Arguments of `lbd decap`.
#[derive(clap::Args)]
#[command(after_help = "\
A backend of a tunnelled service needs the VIP on its loopback interface and this program on the
interface where the tunnelled packets arrive.

Example:
  ip address add 192.0.2.10/32 dev lo
  lbd decap --interface eth0")]
pub(super) struct Arguments {
    /// Interface where tunnelled packets arrive.
    #[arg(long, value_name = "INTERFACE")]
    interface: String,
    #[command(flatten)]
    instance: InstanceArguments,
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// Decapsulates until told to stop.
pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    observe::start(arguments.log_format, arguments.verbosity);
    let instance = arguments.instance.resolve()?;
    dataplane::decap::run(&arguments.interface, instance.name())?;
    Ok(Exit::Done)
}
