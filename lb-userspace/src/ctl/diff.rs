//! `lbd diff`.

use super::{
    lbd::InstanceArguments,
    output::{Exit, Output, say},
    source,
};
use crate::{
    admin::{
        Client, ClientError, Inspect,
        resource::{ChangeResource, List, changes},
    },
    config,
    dataplane::{Dataplane, DataplaneError, Neighbours},
    model::Desired,
    reconcile::{Image, Observed, compile, down_in},
    runtime::{Drains, Instance, backend_addresses, wall_ms},
};
use anyhow::Result;
use std::{collections::BTreeSet, path::PathBuf};

/// Arguments of `lbd diff`.
#[derive(clap::Args)]
#[command(after_help = "\
RING-MOVES is the share of a VIP's ring slots whose new flows would go to another backend; flows that
exist stay where they are. Asks the running daemon; without one, compares with the pinned maps, and
with nothing if there are none. Changes nothing. Exit codes: 0 compared (also if nothing would
change), 1 failed.

Example:
  lbd diff lb.yaml -o json | jq '.items[] | {vip, ringMoves}'")]
pub(super) struct Arguments {
    /// Configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    instance: InstanceArguments,
    #[command(flatten)]
    output: Output,
}

/// Compares the file with what runs.
pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    let checked = config::check_file(&arguments.file);
    if !checked.diagnostics.is_empty() {
        eprint!("{}", checked.diagnostics);
    }
    let Some(desired) = checked.desired else { return Ok(Exit::Failed) };
    let instance = arguments.instance.resolve()?;
    let ask = async |client: Client| client.post("/v1/diff", &desired).await;
    let list = match source::ask(&instance, ask) {
        Err(ClientError::NotRunning(_)) => offline(&instance, &desired)?,
        result => result?,
    };
    arguments.output.list(&list)?;
    Ok(Exit::Done)
}

/// Compares with the pinned maps, or with nothing if there are none.
fn offline(instance: &Instance, desired: &Desired) -> Result<List<ChangeResource>> {
    let running = match Dataplane::open_pinned(instance.name()) {
        Ok(maps) => {
            say("lbd", "lbd is not running; this compares with the pinned maps");
            maps.image()?
        }
        Err(DataplaneError::NotRunning { .. }) => {
            say("lbd", "nothing is running; this compares with an empty data plane");
            Image::default()
        }
        Err(error) => return Err(error.into()),
    };
    let addresses: BTreeSet<_> = backend_addresses(desired);
    let observed = Observed {
        down: down_in(&running),
        drained: Drains::new(instance.drains()).load()?.backends,
        reach: Neighbours::open()?.reach(&addresses)?,
        now_ms: wall_ms(),
        ..Observed::default()
    };
    let next = compile(desired, &observed, &running).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the configuration cannot be used: {}", lines.join("; "))
    })?;
    Ok(List::new(changes(&running, &next.image)))
}
