//! `lbctl drain` and `lbctl undrain`.

use super::{
    output::{Exit, Output, say},
    source,
};
use crate::{admin::resource::GenerationResource, runtime::Instance};
use anyhow::{Context, Result};

/// Arguments of both.
#[derive(clap::Args)]
#[command(after_help = "\
A drained backend takes no new flows and keeps those it has until they end; an endpoint of an upstream
of this name takes no new requests, except those that persistence binds to it. It stays drained over
restarts of lbd and reloads, until undrained or removed from the configuration. With `udp: stick`, new
UDP flows may still come until the transition window is over. Needs the daemon.

Example:
  lbctl drain web/a && lbctl get flows --backend web/a")]
pub(super) struct Arguments {
    /// Which backend, on all VIPs of its service, or endpoint of an upstream: `api/10.2.0.11:8080`.
    #[arg(value_name = "SERVICE/BACKEND", value_parser = parse)]
    backend: (String, String),
}

/// Drains or takes back; returns once the maps are changed.
pub(super) fn run(
    instance: &Instance,
    output: Output,
    arguments: &Arguments,
    drain: bool,
) -> Result<Exit> {
    let (service, backend) = &arguments.backend;
    let path = format!("/v1/drains/{service}/{backend}");
    let generation: GenerationResource =
        source::ask(instance, async |client| client.set(&path, drain).await).with_context(
            || format!("{} {service}/{backend}", if drain { "drain" } else { "undrain" }),
        )?;
    let done = if drain { "drains" } else { "takes part again" };
    say("lbctl", &format!("{service}/{backend} {done}, generation {}", generation.applied));
    output.object(&generation, "")?;
    Ok(Exit::Done)
}

/// `SERVICE/BACKEND`. What names and addresses are made of needs no escaping in a path.
fn parse(text: &str) -> Result<(String, String), String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b))
    };
    match text.split_once('/') {
        Some((service, backend)) if is_name(service) && is_name(backend) => {
            Ok((service.to_owned(), backend.to_owned()))
        }
        _ => Err("give it as SERVICE/BACKEND, for example web/a".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_named_with_its_service() {
        assert_eq!(parse("web/a").unwrap(), ("web".to_owned(), "a".to_owned()));
        assert!(parse("api/10.2.0.11:8080").is_ok() && parse("api/[2001:db8::1]:80").is_ok());
        for text in ["web", "web/", "/a", "web/a/b", "web/../x", "web/a b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
