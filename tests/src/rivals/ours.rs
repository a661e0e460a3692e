//! Ours: one worker; routing, metrics and accounting as always.

use std::{fmt::Write as _, process::Command};

use anyhow::Result;

use super::{ROUTES, Site, Speaks, certificate};
use crate::wait::binary;

pub(super) fn configure(site: &Site<'_>) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let protocol = if site.speaks == Speaks::Grpc { ", protocol: http2" } else { "" };
    let filters = if site.compresses { ", filters: { compression: {} }" } else { "" };
    let mut text = format!(
        "proxy: {{ workers: 1 }}
certificates:
  - {{ name: bench, chain: {}, key: {} }}
listeners:
  - {{ name: http, binds: [\"127.0.0.1:{}\"], protocol: http }}
  - {{ name: https, binds: [\"127.0.0.1:{}\"], protocol: https, tls: {{ certificates: [bench] }} }}
upstreams:
  - {{ name: origin, endpoints: [\"127.0.0.1:{}\"]{protocol} }}
routes:
  - {{ name: all, listeners: [http, https], rules: [{{ backends: [origin]{filters} }}] }}
",
        cert.display(),
        key.display(),
        site.ports.http,
        site.ports.https,
        site.origin
    );
    for host in site.hosts() {
        write!(text, "  - {{ name: {host}, listeners: [http], hosts: [{host}], rules: [")?;
        for route in 0..ROUTES {
            write!(text, "{{ match: [{{ path: /route{route} }}], backends: [origin] }}, ")?;
        }
        text += "] }\n";
    }
    let file = site.write("lbd.yaml", &text)?;
    let mut command = Command::new(binary("lbd")?);
    command.args(["run", "--instance"]).arg(format!("bench{}", site.ports.http));
    command.arg("--config").arg(file);
    Ok(command)
}
