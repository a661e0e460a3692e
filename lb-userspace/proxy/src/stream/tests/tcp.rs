//! Connections that are passed on, and TLS that is passed through.

use super::fixture::*;
use crate::{
    closed,
    drain::Drain,
    http::Reason,
    io::Prefixed,
    secure::SecureError,
    stream::{End, Session, SniError, SniRoutes, pass_through, proxy_protocol, serve_tcp},
};
use lb_model::ProxyProtocol;
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Accepts one connection, says its name and gives back all that came.
async fn endpoint(listener: TcpListener, name: &str) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(name.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    got
}

/// Says `bytes`; what is answered.
async fn client(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    got
}

#[tokio::test]
async fn the_next_endpoint_serves_if_the_first_cannot_be_connected_to() {
    let (listener, good) = listener().await;
    let bad = closed::address();
    let pick = Fixed::new(&[bad, good], None);
    let (near, far) = pair().await;
    let connection = connection(&far);
    let (_start, drain) = no_drain();
    let (session, got, answer) = tokio::join!(
        serve_tcp(far.into(), &connection, &pick, limits(), drain),
        endpoint(listener, "endpoint"),
        client(near, b"hello"),
    );
    let Session { endpoint, relayed } = session.unwrap();
    assert_eq!((endpoint, relayed.end), (good, End::Closed));
    assert_eq!((relayed.sent_bytes, relayed.received_bytes), (5, 8));
    assert_eq!((&*got, &*answer), (&b"hello"[..], &b"endpoint"[..]));
    assert_eq!(*pick.told.borrow(), [(bad, false), (good, true)]);
}

#[tokio::test]
async fn without_an_endpoint_the_client_is_closed_and_the_reason_told() {
    for (endpoints, reason) in
        [(vec![], Reason::NoEndpoint), (vec![closed::address()], Reason::ConnectFailed)]
    {
        let (near, far) = pair().await;
        let connection = connection(&far);
        let (_start, drain) = no_drain();
        let pick = Fixed::new(&endpoints, None);
        let served = serve_tcp(far.into(), &connection, &pick, limits(), drain).await;
        assert_eq!(served.err(), Some(reason));
        assert_eq!(client(near, b"").await, b"");
    }
}

#[tokio::test]
async fn the_endpoint_is_told_the_client() {
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let (listener, address) = listener().await;
        let (near, far) = pair().await;
        let connection = connection(&far);
        let (_start, drain) = no_drain();
        let pick = Fixed::new(&[address], Some(version));
        let (_, got, _) = tokio::join!(
            serve_tcp(far.into(), &connection, &pick, limits(), drain),
            endpoint(listener, ""),
            client(near, b"hello"),
        );
        let (length, header) = proxy_protocol::parse(&got).unwrap().unwrap();
        let sides = header.unwrap();
        assert_eq!((sides.client, sides.local), (connection.client, connection.local));
        assert_eq!(&got[length..], b"hello");
    }
}

fn greeting(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

async fn passed(
    routes: &SniRoutes<Fixed>,
    bytes: &[u8],
    drain: Drain,
) -> (Result<Session, SniError>, Vec<u8>) {
    let (near, far) = pair().await;
    let connection = connection(&far);
    let passing = pass_through(Prefixed::new(far), &connection, routes, LONG, limits(), drain);
    tokio::join!(passing, client(near, bytes))
}

#[tokio::test]
async fn tls_goes_by_server_name_without_a_byte_changed() {
    let mut routes = SniRoutes::default();
    let mut endpoints = Vec::new();
    for host in ["*.example", "*.shop.example", "a.shop.example"] {
        let (listener, address) = listener().await;
        assert!(routes.insert(&host.parse().unwrap(), Fixed::new(&[address], None)));
        endpoints.push((listener, host));
    }
    for (name, host) in [
        ("a.shop.example", "a.shop.example"),
        ("b.c.shop.example", "*.shop.example"),
        ("shop.example", "*.example"),
    ] {
        let place = endpoints.iter().position(|it| it.1 == host).unwrap();
        let (listener, _) = endpoints.remove(place);
        let bytes = greeting(name);
        let (_start, drain) = no_drain();
        let ((session, answer), got) =
            tokio::join!(passed(&routes, &bytes, drain), endpoint(listener, host));
        assert_eq!(session.unwrap().relayed.sent_bytes, bytes.len() as u64);
        assert_eq!((got, &*answer), (bytes, host.as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn a_name_without_a_route_is_answered_by_an_alert() {
    let somewhere: SocketAddr = closed::address();
    let mut routes = SniRoutes::default();
    routes.insert(&"a.example".parse().unwrap(), Fixed::new(&[somewhere], None));
    // An address is no server name, so none is sent.
    for name in ["b.example", "127.0.0.1"] {
        let (_start, drain) = no_drain();
        let (session, answer) = passed(&routes, &greeting(name), drain).await;
        assert_eq!(session.err(), Some(SniError::Hello(SecureError::NameUnknown)));
        // RFC 8446, section 6.2: fatal (2), unrecognized_name (112).
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112]);
    }
}

#[tokio::test]
async fn what_is_not_tls_is_closed() {
    let (_start, drain) = no_drain();
    let (session, answer) = passed(&SniRoutes::default(), b"GET", drain).await;
    assert_eq!(session.err(), Some(SniError::Hello(SecureError::NotTls)));
    assert_eq!(answer, b"");
}
