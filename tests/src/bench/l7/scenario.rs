//! What is measured.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};

use crate::rivals::{Ports, Proxy, Speaks};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// HTTP/1.1, connections kept, bodies of 64 bytes.
    H1Small,
    /// The same with bodies of 64 KiB.
    H1Large,
    /// HTTP/1.1, a connection per request.
    H1Connect,
    /// HTTP/1.1 over TLS, connections kept.
    TlsH1,
    /// HTTP/1.1 over TLS, a connection with a full handshake (ECDSA P-256) per request.
    TlsHandshake,
    /// The same with resumed sessions (TLS 1.3 tickets).
    TlsResume,
    /// HTTP/2 over TLS.
    H2,
    /// Unary gRPC calls: HTTP/2 over TLS, and in the clear to the origin.
    Grpc,
    /// Echoed messages over WebSockets.
    WebSocket,
    /// HTTP/1.1, one of 1,000 hosts with 10 routes each.
    Routes,
    /// Three times as many requests as can be served, see `overload`; of ours only.
    Overload,
    /// Memory of an idle connection.
    Idle,
    /// The same with TLS.
    IdleTls,
}

/// Hosts in [`Scenario::Routes`].
pub(super) const HOSTS: usize = 1_000;

impl Scenario {
    /// All, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::H1Small,
        Self::H1Large,
        Self::H1Connect,
        Self::TlsH1,
        Self::TlsHandshake,
        Self::TlsResume,
        Self::H2,
        Self::Grpc,
        Self::WebSocket,
        Self::Routes,
        Self::Overload,
        Self::Idle,
        Self::IdleTls,
    ];

    /// As the command line and the table have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H1Small => "h1-64",
            Self::H1Large => "h1-64k",
            Self::H1Connect => "h1-connect",
            Self::TlsH1 => "tls-h1",
            Self::TlsHandshake => "tls-handshake",
            Self::TlsResume => "tls-resume",
            Self::H2 => "h2",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Routes => "routes",
            Self::Overload => "overload",
            Self::Idle => "idle",
            Self::IdleTls => "idle-tls",
        }
    }

    /// Whether TLS is spoken.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::TlsH1 | Self::TlsHandshake | Self::TlsResume | Self::IdleTls)
            || self.is_http2()
    }

    /// Whether connections are only held.
    pub const fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleTls)
    }

    /// Whether HTTP/2 is spoken.
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::H2 | Self::Grpc)
    }

    /// What is spoken to the origin.
    pub(crate) const fn speaks(self) -> Speaks {
        match self {
            Self::Grpc => Speaks::Grpc,
            Self::WebSocket => Speaks::WebSocket,
            _ => Speaks::Http1,
        }
    }

    /// Whether each request has a connection of its own.
    pub const fn connects(self) -> bool {
        matches!(self, Self::H1Connect | Self::TlsHandshake)
    }

    /// Whether a proxy takes part: ten thousand rules are not what Caddy and Traefik are for, and
    /// what is refused when there is too much is ours to choose.
    pub fn fits(self, proxy: Proxy) -> bool {
        match self {
            Self::Routes => !matches!(proxy, Proxy::Caddy | Proxy::Traefik),
            Self::Overload => proxy == Proxy::Ours,
            _ => true,
        }
    }

    /// What is asked for.
    pub fn url(self, ports: Ports) -> String {
        let (scheme, port) =
            if self.is_secure() { ("https", ports.https) } else { ("http", ports.http) };
        format!("{scheme}://127.0.0.1:{port}{}", self.path())
    }

    /// The path.
    pub fn path(self) -> &'static str {
        match self {
            Self::H1Large => "/large",
            Self::Overload => "/text",
            Self::Grpc => "/bench.Echo/Unary",
            Self::Routes => "/route7/small",
            _ => "/small",
        }
    }

    /// The host.
    pub fn host(self) -> &'static str {
        if self == Self::Routes { "host777.bench.example" } else { "bench.example" }
    }

    /// The body that must come.
    pub fn body(self) -> Vec<u8> {
        match self {
            Self::H1Large => vec![b'x'; 64 * 1_024],
            Self::Overload => text(),
            Self::Grpc => message(),
            _ => vec![b'x'; 64],
        }
    }
}

/// Text that takes a while to compress: letters as a linear congruence gives them.
pub(super) fn text() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 16
    };
    (0..64 * 1_024).map(|_| next()).collect()
}

/// A gRPC message of 64 bytes, not compressed (gRPC over HTTP2, "Length-Prefixed-Message").
pub(super) fn message() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 64];
    message.extend([b'x'; 64]);
    message
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|it| it.name() == name) {
            Some(scenario) => Ok(scenario),
            None => bail!("unknown scenario {name:?}"),
        }
    }
}
