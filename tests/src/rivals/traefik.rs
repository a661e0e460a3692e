//! Traefik: one Go processor.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::{Site, Speaks, certificate, package::Programs};

pub(super) fn configure(site: &Site<'_>, programs: &Programs) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let scheme = if site.speaks == Speaks::Grpc { "h2c" } else { "http" };
    let dynamic = json!({
        "http": {
            "routers": {
                "http": { "rule": "PathPrefix(`/`)", "service": "origin", "entryPoints": ["http"] },
                "https": {
                    "rule": "PathPrefix(`/`)", "service": "origin", "entryPoints": ["https"],
                    "tls": {}
                }
            },
            "services": { "origin": { "loadBalancer": {
                "servers": [{ "url": format!("{scheme}://127.0.0.1:{}", site.origin) }]
            } } }
        },
        "tls": { "certificates": [{ "certFile": cert, "keyFile": key }] }
    });
    let dynamic = site.write("dynamic.yaml", &dynamic.to_string())?;
    let fixed = json!({
        "entryPoints": {
            "http": { "address": format!("127.0.0.1:{}", site.ports.http) },
            "https": { "address": format!("127.0.0.1:{}", site.ports.https) }
        },
        "providers": { "file": { "filename": dynamic } },
        "log": { "level": "ERROR" },
        "global": { "checkNewVersion": false, "sendAnonymousUsage": false }
    });
    let file = site.write("traefik.yaml", &fixed.to_string())?;
    let mut command = Command::new(programs.path("traefik"));
    command.arg(format!("--configFile={}", file.display())).env("GOMAXPROCS", "1");
    Ok(command)
}
