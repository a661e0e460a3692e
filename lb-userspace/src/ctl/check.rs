//! `lbd check`.

use super::output::{Exit, say};
use crate::config;
use anyhow::Result;
use std::path::PathBuf;

/// Arguments of `lbd check`.
#[derive(clap::Args)]
#[command(after_help = "\
Prints nothing to standard output. Warnings and errors go to standard error, each with its place in
the file and, where there is one, a hint. Exit codes: 0 the file is good, 1 it is not.

Example:
  lbd check /etc/lb/lb.yaml && systemctl reload lbd")]
pub(super) struct Arguments {
    /// Configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Checks the file.
#[expect(clippy::unnecessary_wraps, reason = "verbs share one signature")]
pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    let checked = config::check_file(&arguments.file);
    if !checked.diagnostics.is_empty() {
        eprint!("{}", checked.diagnostics);
    }
    let Some(desired) = checked.desired else { return Ok(Exit::Failed) };
    let vips: usize = desired.services.values().map(|service| service.vips.len()).sum();
    let backends: usize = desired.services.values().map(|service| service.backends.len()).sum();
    let services = desired.services.len();
    let name = arguments.file.display();
    let proxy = &desired.proxy;
    let (listeners, upstreams) = (proxy.listeners.len(), proxy.upstreams.len());
    let routes = proxy.routes.len() + proxy.stream_routes.len();
    let of_proxy = if listeners > 0 {
        format!("; {listeners} listeners, {routes} routes, {upstreams} upstreams")
    } else {
        String::new()
    };
    let of_packets = format!("{services} services, {vips} VIPs, {backends} backends");
    let of_clusters = checked.kubernetes.map_or_else(String::new, |it| {
        let names: Vec<_> = it.clusters.iter().map(|it| it.name.as_str()).collect();
        format!("; clusters {}", names.join(", "))
    });
    say("lbd", &format!("{name} is good: {of_packets}{of_proxy}{of_clusters}"));
    Ok(Exit::Done)
}
