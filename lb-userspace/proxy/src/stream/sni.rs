//! TLS that is not terminated: the server name tells where it goes.

use super::{Limits, Pick, Session, serve_tcp};
use crate::{
    connection::Connection,
    drain::Drain,
    host::HostMap,
    http::Reason,
    io::{Io, Prefixed},
    secure::{SecureError, client_hello, refuse},
};
use lb_model::HostPattern;
use rustls::AlertDescription;
use std::time::Duration;
use tokio::net::TcpStream;

/// Where TLS goes, by server name: exact before the longest suffix before any.
#[derive(Clone, Debug)]
pub struct SniRoutes<P>(HostMap<P>);

/// Why TLS was not passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SniError {
    /// The greeting was not understood.
    #[error("{0}")]
    Hello(#[from] SecureError),
    /// No endpoint could be connected to.
    #[error("{}", .0.name())]
    Endpoint(Reason),
}

impl<P> Default for SniRoutes<P> {
    fn default() -> Self {
        Self(HostMap::default())
    }
}

impl<P> SniRoutes<P> {
    /// Adds a route for some server names; of two with the same name the first stays, so the older
    /// is added first. Whether it was added.
    pub fn insert(&mut self, host: &HostPattern, route: P) -> bool {
        self.0.insert(host, route)
    }

    /// The route for a server name (lower case), or for those who send none.
    pub fn find(&self, server_name: Option<&str>) -> Option<&P> {
        server_name.map_or_else(|| self.0.any(), |name| self.0.find(name.as_bytes()))
    }
}

/// Reads the client's greeting, which may take `hello_timeout`, and passes the connection on to an
/// endpoint of the route for its server name. Without a route the client is told that nobody has
/// this name (RFC 6066, section 3).
pub async fn pass_through<P: Pick>(
    stream: Prefixed<TcpStream>,
    connection: &Connection,
    routes: &SniRoutes<P>,
    hello_timeout: Duration,
    limits: Limits,
    drain: Drain,
) -> Result<Session, SniError> {
    let (mut stream, hello) = Box::pin(client_hello(stream, hello_timeout)).await?;
    let Some(route) = routes.find(hello.server_name.as_deref()) else {
        refuse(&mut stream, AlertDescription::UnrecognisedName).await;
        return Err(SecureError::NameUnknown.into());
    };
    let served = serve_tcp(Io::Tcp(stream), connection, route, limits, drain).await;
    served.map_err(SniError::Endpoint)
}
