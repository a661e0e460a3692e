//! A client's handshake.

use super::{
    certificate::fingerprint,
    client_auth::ClientVerification,
    error::SecureError,
    policy::{suite_name, version_name},
    server::{Ready, ServerTls},
};
use crate::{
    connection::{ClientCertificate, TlsSession},
    host::normal,
    io::{Io, Prefixed},
};
use bytes::Bytes;
use rustls::{
    AlertDescription, HandshakeKind,
    server::{Acceptor, ServerConnection},
};
use std::{io::Read as _, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};

/// A client's connection after its handshake.
pub struct Secured {
    /// What it sends and is sent, in the clear.
    pub io: Io,
    /// What was agreed on.
    pub session: TlsSession,
    /// The listener that its server name picked.
    pub listener: Arc<str>,
}

type Stream = Prefixed<TcpStream>;

impl ServerTls {
    /// Has a client's handshake, which may take `timeout`. A client that cannot be served is told
    /// why by an alert (RFC 8446, section 6.2).
    ///
    /// Early data is given out when the handshake is complete, so what is in it cannot have been
    /// played again; [`TlsSession::early_data_bytes`] tells how much of the stream it is.
    pub async fn accept(&self, stream: Stream, timeout: Duration) -> Result<Secured, SecureError> {
        // On the heap: it is large, and its task lives much longer than it.
        let handshake = Box::pin(self.handshake(stream));
        tokio::time::timeout(timeout, handshake).await.map_err(|_| SecureError::Timeout)?
    }

    async fn handshake(&self, stream: Stream) -> Result<Secured, SecureError> {
        let acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let start = acceptor.await.map_err(|error| SecureError::of(&error))?;
        let server_name = start.client_hello().server_name().map(normal);
        let Some(listener) = self.terminator(server_name.as_deref()) else {
            refuse(start.io, AlertDescription::UnrecognisedName).await;
            return Err(SecureError::NameUnknown);
        };
        let Some(ready) = listener.ready() else {
            refuse(start.io, AlertDescription::HandshakeFailure).await;
            return Err(SecureError::NoCertificate);
        };
        let (stream, session) = finish(ready, start, server_name).await?;
        let listener = Arc::clone(&listener.name);
        Ok(Secured { io: Io::ServerTls(Box::new(stream)), session, listener })
    }
}

/// Tells a client by an alert why it is not served. Nothing can be done if that fails.
pub(crate) async fn refuse(mut stream: impl AsyncWrite + Unpin, alert: AlertDescription) {
    // RFC 8446, sections 5.1 and 6: a record of type alert with two bytes, level fatal.
    let record = [21, 3, 3, 0, 2, 2, u8::from(alert)];
    if stream.write_all(&record).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

async fn finish(
    ready: &Ready,
    start: StartHandshake<Stream>,
    server_name: Option<String>,
) -> Result<(Prefixed<TlsStream<Stream>>, TlsSession), SecureError> {
    let config = Arc::clone(&ready.config);
    let mut stream = start.into_stream(config).await.map_err(|error| SecureError::of(&error))?;
    let early = early_data(stream.get_mut().1);
    let connection = stream.get_ref().1;
    let client_certificate = client_certificate(ready, connection);
    if client_certificate.as_ref().is_some_and(|it| !it.is_valid) && !takes_invalid(ready) {
        let (io, connection) = stream.get_mut();
        connection.send_close_notify();
        drop(io.shutdown().await);
        return Err(SecureError::ClientCertificateInvalid);
    }
    let session = TlsSession {
        version: connection.protocol_version().map_or("", version_name),
        cipher_suite: connection
            .negotiated_cipher_suite()
            .map_or("", |suite| suite_name(suite.suite())),
        server_name: server_name.map(Into::into),
        is_http2: connection.alpn_protocol() == Some(b"h2"),
        is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client_certificate,
        early_data_bytes: early.len() as u32,
    };
    Ok((Prefixed::with_prefix(early, stream), session))
}

/// What came before the handshake's end; its limit is in the session's ticket.
fn early_data(connection: &mut ServerConnection) -> Bytes {
    let mut bytes = Vec::new();
    match connection.early_data().map(|mut early| early.read_to_end(&mut bytes)) {
        Some(Ok(_)) => bytes.into(),
        Some(Err(_)) | None => Bytes::new(),
    }
}

fn client_certificate(ready: &Ready, connection: &ServerConnection) -> Option<ClientCertificate> {
    let chain = connection.peer_certificates()?;
    let leaf = chain.first()?;
    let is_valid = ready.clients.as_ref().is_some_and(|it| it.is_valid(chain));
    Some(ClientCertificate { fingerprint: fingerprint(leaf), is_valid })
}

fn takes_invalid(ready: &Ready) -> bool {
    ready.clients.as_ref().is_some_and(ClientVerification::takes_invalid)
}
