//! Listeners that admit some clients only, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use lb_model::{
    Bind, Endpoint, EndpointAddress, HostPattern, HttpOptions, Listener, ListenerProtocol, Proxy,
    ProxySettings, StreamBackend, StreamRoute, Upstream,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(1);

fn listener(address: SocketAddr, protocol: ListenerProtocol, sources: &[&str]) -> Listener {
    Listener {
        vips: [].into(),
        binds: [Bind { address }].into(),
        protocol,
        host: HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: sources.iter().map(|it| it.parse().unwrap()).collect(),
        connections_max: 100,
        http: HttpOptions::default(),
        idle_timeout: LIMIT,
    }
}

/// Everything that comes to these listeners goes to `origin`.
fn configuration(listeners: Vec<(&str, Listener)>, origin: SocketAddr) -> Proxy {
    let endpoint = Endpoint {
        address: EndpointAddress::Ip(origin.ip()),
        port: origin.port(),
        weight: 1,
        drain: false,
    };
    let endpoints = [("one".to_owned(), endpoint)].into();
    let names = listeners.iter().map(|(name, _)| (*name).to_owned());
    let route = StreamRoute {
        listeners: names.collect(),
        hosts: [].into(),
        age: 0,
        backends: vec![StreamBackend { upstream: Some("origin".to_owned()), weight: 1 }],
    };
    let workers = Some(1);
    Proxy {
        settings: ProxySettings { workers, drain_timeout: Duration::ZERO, ..Default::default() },
        listeners: listeners.into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
        stream_routes: [("all".to_owned(), route)].into(),
        upstreams: [("origin".to_owned(), Upstream { endpoints, ..Upstream::default() }.into())]
            .into(),
        ..Proxy::default()
    }
}

/// An address that nobody else has: of this process and test.
fn address(test: u8) -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, high.max(1), low, test), 7_000))
}

fn start(wanted: &Proxy) -> lb_proxy::handle::Proxy {
    let mut proxy = lb_proxy::handle::Proxy::start(&wanted.settings, 1).unwrap();
    assert!(proxy.apply(wanted, 1).is_empty());
    proxy
}

#[tokio::test]
async fn connections_of_other_clients_are_closed() {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (open, closed) = (address(1), address(2));
    let tcp = ListenerProtocol::Tcp;
    let wanted = configuration(
        vec![
            ("open", listener(open, tcp, &["192.0.2.0/24", "127.0.0.0/8"])),
            ("closed", listener(closed, tcp, &["192.0.2.0/24", "2001:db8::/32"])),
        ],
        origin.local_addr().unwrap(),
    );
    let proxy = start(&wanted);
    let answering = tokio::spawn(async move {
        let (mut stream, _) = origin.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
    });
    let mut bytes = [0; 5];
    let mut client = TcpStream::connect(open).await.unwrap();
    timeout(LIMIT, client.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes, b"hello");
    answering.await.unwrap();
    let mut client = TcpStream::connect(closed).await.unwrap();
    let read = timeout(LIMIT, client.read(&mut bytes)).await.unwrap();
    assert!(read.is_err() || read.is_ok_and(|count| count == 0));
    proxy.stop();
}

#[tokio::test]
async fn datagrams_of_other_clients_are_dropped() {
    let origin = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (open, closed) = (address(3), address(4));
    let udp = ListenerProtocol::Udp;
    let wanted = configuration(
        vec![
            ("open", listener(open, udp, &["127.0.0.0/8"])),
            ("closed", listener(closed, udp, &["192.0.2.0/24"])),
        ],
        origin.local_addr().unwrap(),
    );
    let proxy = start(&wanted);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // What is dropped was sent first: if it were let in, it would arrive first.
    client.send_to(b"closed", closed).await.unwrap();
    client.send_to(b"open", open).await.unwrap();
    let mut bytes = [0; 16];
    let (count, _) = timeout(LIMIT, origin.recv_from(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(bytes.get(..count), Some(&b"open"[..]));
    client.send_to(b"closed", closed).await.unwrap();
    client.send_to(b"again", open).await.unwrap();
    let (count, _) = timeout(LIMIT, origin.recv_from(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(bytes.get(..count), Some(&b"again"[..]));
    proxy.stop();
}
