//! The command line of `lbd`.

use super::{
    check, decap, detach, diff,
    output::{Exit, say},
    run, schema,
};
use crate::runtime::{Instance, RUN_DIRECTORY};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// A layer-4 load balancer that forwards in XDP.
#[derive(Parser)]
#[command(name = "lbd", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  lbd check lb.yaml                    say what is wrong with a file, or nothing
  lbd diff lb.yaml                     what the file would change, and which share of each ring
  lbd run --config lb.yaml             forward, until told otherwise
  lbd detach                           stop forwarding; remove programs, maps and pins
  lbd decap --interface eth0           on a backend: take packets out of the tunnel")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the daemon in the foreground.
    Run(run::Arguments),
    /// Check a configuration file.
    Check(check::Arguments),
    /// Show what a configuration file would change in the running data plane.
    Diff(diff::Arguments),
    /// Unwrap tunnelled packets on a backend, in the foreground.
    Decap(decap::Arguments),
    /// Stop forwarding: remove links, programs, maps and pins.
    Detach(detach::Arguments),
    /// Print the JSON Schema of the configuration file.
    Schema,
}

/// Which data plane is meant.
#[derive(Args, Clone, Debug)]
pub(super) struct InstanceArguments {
    /// Data plane to talk about.
    #[arg(long, global = true, value_name = "NAME", default_value = "default")]
    pub(super) instance: String,
    /// Where instances keep their sockets, locks and drains.
    #[arg(long, global = true, value_name = "DIRECTORY", default_value = RUN_DIRECTORY)]
    pub(super) run_directory: PathBuf,
}

impl InstanceArguments {
    /// The instance, or why its name is none.
    pub(super) fn resolve(&self) -> Result<Instance> {
        Ok(Instance::new(&self.instance, &self.run_directory)?)
    }
}

/// Runs the program; the exit code says how it went.
pub fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Diff(arguments) => diff::run(&arguments),
        Verb::Decap(arguments) => decap::run(&arguments),
        Verb::Detach(arguments) => detach::run(&arguments),
        Verb::Schema => schema::run(),
    };
    exit("lbd", done)
}

/// Says an error and turns the result into an exit code.
pub(super) fn exit(program: &str, done: Result<Exit>) -> ExitCode {
    done.unwrap_or_else(|error| {
        say(program, &format!("{error:#}"));
        Exit::Failed
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
        }
    }
}
