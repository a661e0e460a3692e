//! A client's connection: limits, the PROXY protocol, TLS, then HTTP or a session.

use super::Worker;
use crate::{
    accept::{Accepted, Ending, Handler},
    account::AccessLogger,
    connection::Connection,
    http,
    io::{Io, Prefixed},
    secure::client_hello,
    snapshot::{Listener, Port, Snapshot},
    stream::{Limits, proxy_protocol, serve_tcp},
};
use lb_model::ListenerProtocol;
use std::{
    net::{SocketAddr, UdpSocket},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, sync::oneshot};

impl Handler for Worker {
    fn serve(self: Rc<Self>, accepted: Accepted) -> impl Future<Output = ()> {
        // At once: a stop waits for what was accepted, even if nothing was done about it yet.
        let open = self.open();
        async move {
            self.serve_one(accepted).await;
            drop(open);
        }
    }

    async fn datagrams(self: Rc<Self>, socket: UdpSocket, ending: oneshot::Receiver<Ending>) {
        super::datagram::serve(&self, socket, ending).await;
    }

    fn is_busy(&self) -> bool {
        self.overload.is_busy()
    }

    fn drain(&self) {
        self.drain_start.start();
    }

    async fn drained(self: Rc<Self>) {
        while self.open.get() > 0 {
            self.closed.notified().await;
        }
        self.with_logger(AccessLogger::flush);
    }
}

/// A connection before it is secured.
struct Begun {
    stream: Prefixed<TcpStream>,
    connection: Connection,
}

impl Worker {
    async fn serve_one(self: &Rc<Self>, accepted: Accepted) {
        let snapshot = self.snapshot();
        let Some((local, port)) = find(&snapshot, &accepted) else { return };
        drop(snapshot);
        let Some(first) = port.first().cloned() else { return };
        let Some(_all) = self.common.limit.take() else { return };
        let Some(_own) = first.limit.take() else { return };
        first.stats.connected(self.index);
        self.begin(accepted, local, &port, &first).await;
    }

    async fn begin(
        self: &Rc<Self>,
        accepted: Accepted,
        local: SocketAddr,
        port: &Arc<Port>,
        first: &Arc<Listener>,
    ) {
        let Accepted { stream, peer, .. } = accepted;
        let connection = Connection { local, peer, client: peer, tls: None };
        let mut begun = Begun { stream: Prefixed::new(stream), connection };
        if first.model.takes_proxy_protocol {
            let told = Box::pin(told(begun, first.http.header_timeout)).await;
            let Some(told) = told else { return };
            begun = told;
        }
        let Begun { stream, connection } = begun;
        match first.model.protocol {
            ListenerProtocol::Http => self.speak(Io::Tcp(stream), connection, first).await,
            ListenerProtocol::Tcp => self.pass(Io::Tcp(stream), connection, first, None).await,
            ListenerProtocol::Https | ListenerProtocol::Tls => {
                Box::pin(self.secure(Begun { stream, connection }, port, first)).await;
            }
            // A UDP listener has no TCP port.
            ListenerProtocol::Udp => {}
        }
    }

    /// TLS: passed through or terminated, as the listener of the server name wants.
    async fn secure(self: &Rc<Self>, begun: Begun, port: &Arc<Port>, first: &Arc<Listener>) {
        let Begun { mut stream, mut connection } = begun;
        let timeout = first.http.header_timeout;
        if port.listeners.iter().any(|it| it.passes_through()) {
            let Ok((peeked, hello)) = client_hello(stream, timeout).await else {
                first.stats.secured(self.index, false);
                return;
            };
            stream = peeked;
            let name = hello.server_name.as_deref();
            let listener = port.listener_for(name);
            if let Some(listener) = listener.filter(|it| it.passes_through()) {
                self.pass(Io::Tcp(stream), connection, listener, name).await;
                return;
            }
        }
        let Some(tls) = &port.tls else { return };
        let secured = match tls.accept(stream, timeout).await {
            Ok(secured) => secured,
            Err(error) => {
                tracing::debug!(client = %connection.client, %error, "no TLS");
                first.stats.secured(self.index, false);
                return;
            }
        };
        let Some(listener) = port.named(&secured.listener) else { return };
        listener.stats.secured(self.index, true);
        let name = secured.session.server_name.clone();
        connection.tls = Some(secured.session);
        if listener.model.protocol == ListenerProtocol::Https {
            self.speak(secured.io, connection, listener).await;
        } else {
            self.pass(secured.io, connection, listener, name.as_deref()).await;
        }
    }

    async fn speak(self: &Rc<Self>, io: Io, connection: Connection, listener: &Arc<Listener>) {
        if !self.admits(&connection, listener) {
            return;
        }
        let (service, options) = (Rc::new(Rc::clone(self)), Arc::clone(&listener.http));
        http::serve(io, Rc::new(connection), service, options, self.drain.clone()).await;
    }

    /// Whether the client may connect; a refusal is counted.
    fn admits(&self, connection: &Connection, listener: &Arc<Listener>) -> bool {
        let admits = listener.admits(connection.client.ip());
        if !admits {
            listener.stats.refused(self.index, http::Reason::AddressDenied);
        }
        admits
    }

    /// Passes a session on to where its server name leads.
    async fn pass(
        &self,
        io: Io,
        connection: Connection,
        listener: &Arc<Listener>,
        server_name: Option<&str>,
    ) {
        if !self.admits(&connection, listener) {
            return;
        }
        let Some(plan) = listener.streams.find(server_name) else {
            listener.stats.refused(self.index, http::Reason::NoRoute);
            return;
        };
        let limits =
            Limits { idle_timeout: listener.model.idle_timeout, drain_timeout: Duration::MAX };
        let served = serve_tcp(io, &connection, plan, limits, self.drain.clone()).await;
        if let Err(reason) = served {
            listener.stats.refused(self.index, reason);
        }
    }
}

/// Where a client connected to, and what is served there.
fn find(snapshot: &Snapshot, accepted: &Accepted) -> Option<(SocketAddr, Arc<Port>)> {
    let bound = accepted.bound;
    // A socket of one address that is served has no other connections: there is no need to ask the
    // kernel. One for steered connections is bound to an address that nobody serves.
    let port = snapshot.tcp.exactly(bound).filter(|_| !bound.ip().is_unspecified());
    if let Some(port) = port {
        return Some((bound, Arc::clone(port)));
    }
    let local = accepted.stream.local_addr().ok()?;
    Some((local, Arc::clone(snapshot.tcp.find(local)?)))
}

/// Reads the PROXY protocol's header; `None` = the connection is to be closed.
async fn told(begun: Begun, timeout: Duration) -> Option<Begun> {
    let Begun { stream, mut connection } = begun;
    let (socket, header) = proxy_protocol::read(stream.into_parts().1, timeout).await.ok()?;
    if let Some(sides) = header {
        connection.client = sides.client;
    }
    Some(Begun { stream: socket, connection })
}
