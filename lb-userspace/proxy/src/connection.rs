//! What is known about a client's connection.

use std::net::SocketAddr;

/// A client's connection, as accepted and secured.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where the client connected: the VIP, with the port.
    pub local: SocketAddr,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The client: as the PROXY protocol told, else the peer.
    pub client: SocketAddr,
    /// TLS, if it was spoken.
    pub tls: Option<TlsSession>,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSession {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// IANA name of the cipher suite.
    pub cipher_suite: &'static str,
    /// The server name (SNI), lower case.
    pub server_name: Option<Box<str>>,
    /// Whether ALPN agreed on HTTP/2.
    pub is_http2: bool,
    /// Whether a session was resumed.
    pub is_resumed: bool,
    /// The client's certificate, if it showed one.
    pub client_certificate: Option<ClientCertificate>,
    /// How many bytes of the client's stream, from its begin, came as early data (0-RTT). They are
    /// given out after the handshake, so they were not played again.
    pub early_data_bytes: u32,
}

/// A client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    pub fingerprint: Box<str>,
    /// Whether it leads to one of the listener's authorities (always, but with insecure fallback).
    pub is_valid: bool,
}
