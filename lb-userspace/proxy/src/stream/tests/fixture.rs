//! Endpoints, and both ends of connections.

use crate::{
    connection::Connection,
    drain::{Drain, DrainStart, drain},
    http::Reason,
    stream::{Lease, Limits, Outgoing, Pick},
};
use lb_model::ProxyProtocol;
use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// Far more than anything takes.
pub(super) const LONG: Duration = Duration::from_mins(1);

/// Gives these endpoints in order, and keeps what was told of them.
#[derive(Clone)]
pub(super) struct Fixed {
    pub(super) endpoints: Vec<SocketAddr>,
    pub(super) outgoing: Outgoing,
    pub(super) told: Rc<RefCell<Vec<(SocketAddr, bool)>>>,
}

pub(super) struct Held {
    address: SocketAddr,
    fixed: Fixed,
}

impl Fixed {
    pub(super) fn new(endpoints: &[SocketAddr], proxy_protocol: Option<ProxyProtocol>) -> Self {
        let outgoing = Outgoing { connect_timeout: LONG, proxy_protocol, tls: None };
        Self { endpoints: endpoints.to_vec(), outgoing, told: Rc::default() }
    }
}

impl Pick for Fixed {
    type Lease = Held;

    fn pick(&self, _client: SocketAddr, exclude: &[SocketAddr]) -> Result<Held, Reason> {
        let address = self.endpoints.iter().find(|it| !exclude.contains(it));
        let address = *address.ok_or(Reason::NoEndpoint)?;
        Ok(Held { address, fixed: self.clone() })
    }
}

impl Lease for Held {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn host_name(&self) -> Option<&str> {
        None
    }

    fn outgoing(&self) -> &Outgoing {
        &self.fixed.outgoing
    }

    fn succeeded(&self, _latency: Duration) {
        self.fixed.told.borrow_mut().push((self.address, true));
    }

    fn failed(&self) {
        self.fixed.told.borrow_mut().push((self.address, false));
    }
}

pub(super) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection over loopback: client's, server's.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener().await;
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

pub(super) fn connection(stream: &TcpStream) -> Connection {
    let (local, peer) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    Connection { local, peer, client: peer, tls: None }
}

pub(super) fn limits() -> Limits {
    Limits { idle_timeout: LONG, drain_timeout: LONG }
}

/// Draining that does not begin as long as its other end is held.
pub(super) fn no_drain() -> (DrainStart, Drain) {
    drain()
}
