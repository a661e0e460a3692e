//! Who answers a session: what this module asks of those who know the endpoints.

use crate::{http::Reason, secure::ClientTls};
use lb_model::ProxyProtocol;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Picks endpoints for sessions.
pub trait Pick {
    /// An endpoint, held.
    type Lease: Lease;

    /// An endpoint for a client, none of `exclude`. The error tells why there is none.
    fn pick(&self, client: SocketAddr, exclude: &[SocketAddr]) -> Result<Self::Lease, Reason>;
}

/// An endpoint held for a session: it counts as under way until this is dropped.
pub trait Lease {
    /// Where it is.
    fn address(&self) -> SocketAddr;

    /// Its DNS name, if it has one.
    fn host_name(&self) -> Option<&str>;

    /// How it is spoken to.
    fn outgoing(&self) -> &Outgoing;

    /// Tells that it was connected to, and how long that took.
    fn succeeded(&self, latency: Duration);

    /// Tells that it could not be connected to.
    fn failed(&self);
}

/// How an endpoint is spoken to.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// From the begin of a connection to its establishment, TLS included.
    pub connect_timeout: Duration,
    /// Connections begin with a header that tells the client.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<ClientTls>>,
}
