//! `lbd detach`.

use super::{
    lbd::InstanceArguments,
    output::{Exit, say},
};
use crate::{dataplane, runtime::Lock};
use anyhow::{Context, Result};
use std::{fs, io::ErrorKind};

/// Arguments of `lbd detach`.
#[derive(clap::Args)]
#[command(after_help = "\
Forwarding stops and tracked flows are forgotten. Refuses while lbd runs: stop it first. Succeeds if
there is nothing to remove.

Example:
  systemctl stop lbd && lbd detach")]
pub(super) struct Arguments {
    #[command(flatten)]
    instance: InstanceArguments,
}

/// Removes everything that the instance left in the kernel.
pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    let instance = arguments.instance.resolve()?;
    let _lock = Lock::take(&instance).context("stop lbd first")?;
    let interfaces = dataplane::detach(instance.name())?;
    match fs::remove_file(instance.drains()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context(instance.drains().display().to_string());
        }
        _ => {}
    }
    let from = if interfaces.is_empty() { "no interface".into() } else { interfaces.join(", ") };
    say("lbd", &format!("instance `{}` is gone (was on {from})", instance.name()));
    Ok(Exit::Done)
}
