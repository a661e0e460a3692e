//! The command line of `lbctl`.

use super::{
    drain, generation, get, hosts,
    lbd::{InstanceArguments, exit},
    metrics, migrate,
    output::{Exit, Output},
    trace, why,
};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Looks into a running load balancer, and drains its backends.
///
/// Asks the daemon over its unix socket. When the daemon is down, `get`, `status` and `trace` read
/// the pinned maps and say so on standard error.
#[derive(Parser)]
#[command(name = "lbctl", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 (status and get generation) the data plane is degraded:
lbd is down, a change could not be applied, an interface runs generic XDP or none, or a VIP has no
usable backend.

Examples:
  lbctl status
  lbctl get vips
  lbctl get backends -o wide
  lbctl trace tcp 198.51.100.7:40000 192.0.2.10:80
  lbctl get routes
  lbctl why https://shop.example/api
  lbctl drain web/a")]
struct Cli {
    #[command(flatten)]
    instance: InstanceArguments,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List things.
    Get {
        #[command(subcommand)]
        what: get::What,
    },
    /// Say whether all is well; exits 3 if not.
    Status,
    /// Show what the loaded program does with a packet, decision by decision.
    Trace(trace::Arguments),
    /// Show what would become of a request, decision by decision.
    Why(why::Arguments),
    /// Print lines for /etc/hosts: every host that is served, at its address.
    #[command(after_help = "\
Hosts of all listeners of the proxy with their routes. What a line cannot say is a comment: a wildcard,
and what is served at every address of the router.

Example:
  lbctl hosts | ssh laptop 'sudo tee -a /etc/hosts'")]
    Hosts,
    /// Print every counter in Prometheus' text format.
    Metrics,
    /// Say what is there in the words of the Gateway API.
    Migrate {
        #[command(subcommand)]
        what: migrate::What,
    },
    /// Give a backend no new flows; those it has stay until they end.
    Drain(drain::Arguments),
    /// Give a drained backend new flows again.
    Undrain(drain::Arguments),
}

/// Runs the program; the exit code says how it went.
pub fn main() -> ExitCode {
    exit("lbctl", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<Exit> {
    let instance = cli.instance.resolve()?;
    match &cli.verb {
        Verb::Get { what } => get::run(&instance, cli.output, what),
        Verb::Status => generation::run(&instance, cli.output),
        Verb::Trace(arguments) => trace::run(&instance, cli.output, arguments),
        Verb::Why(arguments) => why::run(&instance, cli.output, arguments),
        Verb::Hosts => hosts::run(&instance, cli.output),
        Verb::Metrics => metrics::run(&instance),
        Verb::Migrate { what } => migrate::run(cli.output, what),
        Verb::Drain(arguments) => drain::run(&instance, cli.output, arguments, true),
        Verb::Undrain(arguments) => drain::run(&instance, cli.output, arguments, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
