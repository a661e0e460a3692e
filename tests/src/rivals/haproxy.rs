//! HAProxy: one thread, connections to the backend kept and shared.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::Result;

use super::{ROUTES, Site, Speaks, certificate};

pub(super) fn configure(site: &Site<'_>) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let both = fs::read_to_string(&cert)? + &fs::read_to_string(&key)?;
    let pem = site.write("both.pem", &both)?;
    let mut map = String::new();
    for host in site.hosts() {
        for route in 0..ROUTES {
            writeln!(map, "{host}/route{route}/ origin")?;
        }
    }
    let protocol = if site.speaks == Speaks::Grpc { " proto h2" } else { "" };
    // The map's prefix tree is HAProxy's way to have many routes.
    let choose = if map.is_empty() {
        "default_backend origin".to_owned()
    } else {
        let file = site.write("routes.map", &map)?;
        format!("use_backend %[base,map_beg({})]", file.display())
    };
    let text = format!(
        "global
  nbthread 1
  maxconn 9900
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  timeout tunnel 1h
  http-reuse always
frontend all
  bind 127.0.0.1:{}
  bind 127.0.0.1:{} ssl crt {} alpn h2,http/1.1
  {choose}
backend origin
  server origin 127.0.0.1:{}{protocol} pool-max-conn 256
",
        site.ports.http,
        site.ports.https,
        pem.display(),
        site.origin
    );
    let file = site.write("haproxy.cfg", &text)?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
