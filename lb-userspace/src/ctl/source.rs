//! Where a verb's answers come from: the daemon, or the pinned maps when it is down.

use super::output::say;
use crate::{
    admin::{Client, ClientError, Inspect, View, interface_names},
    dataplane::Dataplane,
    runtime::{Drains, Instance},
};
use anyhow::{Context, Result};
use std::sync::Arc;

/// Asks the daemon.
pub(super) fn ask<T>(
    instance: &Instance,
    question: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Broken(error.to_string()))?;
    runtime.block_on(question(Client::new(&instance.socket())))
}

/// Asks the daemon; if none runs, says so and reads the pinned maps.
pub(super) fn ask_or_read<T>(
    program: &str,
    instance: &Instance,
    question: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    read: impl FnOnce(&dyn Inspect) -> Result<T>,
) -> Result<T> {
    match ask(instance, question) {
        Err(ClientError::NotRunning(_)) => {}
        result => return Ok(result?),
    }
    let maps = Dataplane::open_pinned(instance.name()).context("lbd is not running")?;
    say(program, "lbd is not running; this is read from the pinned maps");
    read(&maps)
}

/// What the pinned maps tell without a daemon.
pub(super) fn view(instance: &Instance, maps: &dyn Inspect) -> Result<View> {
    let image = Arc::new(maps.image()?);
    Ok(View {
        interfaces: interface_names(&image),
        image,
        stats: maps.stats()?,
        health: [].into(),
        drained: Drains::new(instance.drains()).load()?.backends,
    })
}
