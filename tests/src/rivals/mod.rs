//! The proxies that operators would use instead, and ours beside them: how they are installed,
//! configured (one file a proxy) and run.

mod caddy;
mod certificate;
mod envoy;
mod haproxy;
mod nginx;
mod ours;
pub(crate) mod package;
pub(crate) mod process;
mod traefik;

use std::{
    fmt, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use package::Programs;

/// Routes of each host of a [`Site`] that has hosts.
pub(crate) const ROUTES: usize = 10;

/// A proxy that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// This project's.
    Ours,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
}

/// Ports of a proxy on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// In the clear.
    pub http: u16,
    /// Over TLS.
    pub https: u16,
}

/// What a configuration is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Where files may be written.
    pub folder: &'a Path,
    /// Where to listen.
    pub ports: Ports,
    /// The origin's port on 127.0.0.1.
    pub origin: u16,
    /// What is spoken to it.
    pub speaks: Speaks,
    /// Hosts with routes of their own, beside the one that serves all others.
    pub hosts_count: usize,
    /// Whether texts are compressed. Only ours can be asked to.
    pub compresses: bool,
}

/// What a proxy speaks to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/1.1 that becomes a WebSocket.
    WebSocket,
    /// gRPC: HTTP/2 in the clear.
    Grpc,
}

impl Proxy {
    /// Ours and these rivals.
    pub fn all(rivals: &[String]) -> Vec<Self> {
        let all = [Self::Ours, Self::Nginx, Self::Haproxy, Self::Envoy, Self::Caddy, Self::Traefik];
        let wanted = |it: &Self| *it == Self::Ours || rivals.iter().any(|name| name == it.name());
        all.into_iter().filter(wanted).collect()
    }

    /// As the table has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
        }
    }

    /// Writes its configuration; what starts it.
    pub(crate) fn configure(self, site: &Site<'_>, programs: &Programs) -> Result<Command> {
        match self {
            Self::Ours => ours::configure(site),
            Self::Nginx => nginx::configure(site),
            Self::Haproxy => haproxy::configure(site),
            Self::Envoy => envoy::configure(site, programs),
            Self::Caddy => caddy::configure(site, programs),
            Self::Traefik => traefik::configure(site, programs),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Ports {
    /// Two ports that nobody listens on.
    pub fn free() -> Result<Self> {
        // Both at once, so that they differ.
        let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [http, https] = [held[0].local_addr()?.port(), held[1].local_addr()?.port()];
        Ok(Self { http, https })
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Site<'_> {
    /// Writes a file.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// The hosts that have routes.
    fn hosts(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.hosts_count).map(|host| format!("host{host}.bench.example"))
    }
}
