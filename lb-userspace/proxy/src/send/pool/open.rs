//! Opens a connection: TCP, the PROXY protocol, TLS, HTTP.

use crate::{
    connection::Connection,
    http::{Reason, h1, h2},
    io::Io,
    send::{SendError, endpoint::Endpoint},
    stream::proxy_protocol,
};
use lb_model::{ProxyProtocol, UpstreamProtocol};
use std::io;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A connection that is ready for requests.
pub(super) enum Opened {
    Http1(h1::Client),
    Http2(h2::Client),
}

/// Connects. The caller bounds how long it takes.
pub(super) async fn open(
    endpoint: &Endpoint,
    client: Option<&Connection>,
) -> Result<Opened, SendError> {
    let opened = try_open(endpoint, client).await;
    let counters = &endpoint.state.counters;
    match opened {
        Ok(_) => counters.connections_opened.add(1),
        Err(_) => counters.connect_errors.add(1),
    }
    opened
}

async fn try_open(endpoint: &Endpoint, client: Option<&Connection>) -> Result<Opened, SendError> {
    let settings = &endpoint.settings;
    let failed = SendError::unseen(Reason::ConnectFailed);
    let stream = connect(endpoint, client).await.map_err(|_| failed)?;
    let (io, agreed_http2) = match &settings.outgoing.tls {
        Some(tls) => tls.connect(stream, endpoint.host_name.as_deref()).await?,
        None => (Io::from(stream), false),
    };
    if agreed_http2 || settings.protocol == UpstreamProtocol::Http2 {
        let connected = h2::Client::connect(io, h2::ClientOptions::default()).await;
        return connected.map(Opened::Http2).map_err(|_| failed);
    }
    Ok(Opened::Http1(h1::Client::new(io, h1::ResponseLimits::default())))
}

async fn connect(endpoint: &Endpoint, client: Option<&Connection>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    if let Some(version) = endpoint.settings.outgoing.proxy_protocol {
        let header = announcement(version, &stream, client)?;
        stream.write_all(&header).await?;
    }
    Ok(stream)
}

/// What tells the client. Requests of the proxy's own come from the proxy.
fn announcement(
    version: ProxyProtocol,
    stream: &TcpStream,
    client: Option<&Connection>,
) -> io::Result<Vec<u8>> {
    Ok(match client {
        Some(it) => proxy_protocol::write(version, it.client, it.local, it.tls.as_ref()),
        None => proxy_protocol::write(version, stream.local_addr()?, stream.peer_addr()?, None),
    })
}
