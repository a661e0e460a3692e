//! Caddy: one Go processor.

use std::process::Command;

use anyhow::Result;

use super::{Site, Speaks, certificate, package::Programs};

pub(super) fn configure(site: &Site<'_>, programs: &Programs) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let scheme = if site.speaks == Speaks::Grpc { "h2c://" } else { "" };
    let text = format!(
        "{{
  admin off
  auto_https off
  persist_config off
}}
http://:{http} {{
  bind 127.0.0.1
  reverse_proxy {scheme}127.0.0.1:{origin}
}}
https://:{https} {{
  bind 127.0.0.1
  tls {} {}
  reverse_proxy {scheme}127.0.0.1:{origin}
}}
",
        cert.display(),
        key.display(),
        http = site.ports.http,
        https = site.ports.https,
        origin = site.origin,
    );
    let file = site.write("Caddyfile", &text)?;
    let mut command = Command::new(programs.path("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("GOMAXPROCS", "1").env("HOME", site.folder);
    Ok(command)
}
