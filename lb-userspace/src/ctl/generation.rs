//! `lbctl get generation` and `lbctl status`.

use super::{
    output::{Exit, Output},
    source,
};
use crate::{
    admin::{Inspect, resource::GenerationResource},
    runtime::Instance,
};
use anyhow::Result;
use std::fmt::Write as _;

/// Prints where the data plane stands; [`Exit::Degraded`] if something is not as it should be.
pub(super) fn run(instance: &Instance, output: Output) -> Result<Exit> {
    let generation = source::ask_or_read(
        "lbctl",
        instance,
        async |client| client.get("/v1/generation").await,
        |maps| from_maps(instance, maps),
    )?;
    output.object(&generation, &text(&generation))?;
    Ok(if generation.degraded.is_empty() { Exit::Done } else { Exit::Degraded })
}

fn from_maps(instance: &Instance, maps: &dyn Inspect) -> Result<GenerationResource> {
    let image = maps.image()?;
    let mut generation = GenerationResource::new(instance.name(), image.generation);
    generation.interfaces = maps.attachments()?;
    generation.judge(&image);
    generation.degraded.insert(0, "lbd is not running".to_owned());
    Ok(generation)
}

/// One fact a line.
fn text(generation: &GenerationResource) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        writeln!(text, "{name:<14}{value}").ok();
    };
    line("instance", &generation.instance);
    line("daemon", generation.daemon_version.as_deref().unwrap_or("not running"));
    line("desired", &generation.desired.map_or_else(|| "-".to_owned(), |g| g.to_string()));
    line("applied", &generation.applied.to_string());
    if let Some(configuration) = &generation.configuration {
        line("configuration", &configuration.file);
        if let Some(error) = &configuration.last_error {
            for (index, error) in error.lines().enumerate() {
                line(if index == 0 { "last error" } else { "" }, error);
            }
        }
    }
    for interface in &generation.interfaces {
        let mode = interface.attach_mode.as_deref().unwrap_or("not attached");
        let reason = interface.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        line("interface", &format!("{} {mode}{reason}", interface.name));
    }
    for degraded in &generation.degraded {
        line("degraded", degraded);
    }
    text
}
