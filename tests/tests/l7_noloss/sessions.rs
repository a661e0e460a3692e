//! What lasts longer than a request, when lbd is replaced or ends: WebSockets, and UDP sessions.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use lb_tests::{
    load::CHAT,
    origin::{WEBSOCKET_ACCEPT, WEBSOCKET_KEY},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

use super::{
    origin,
    site::{FILE, LIMIT, Site, assert_ended},
};

/// Between two datagrams that say the same.
const AGAIN: Duration = Duration::from_millis(200);

/// Routes to an upstream for HTTP, and to one for UDP.
fn configuration(site: &Site, upstream: SocketAddr, endpoint: SocketAddr) -> String {
    let datagrams = site.datagrams;
    format!(
        "  - {{ name: datagrams, binds: [\"{datagrams}\"], protocol: udp, idle_timeout: 12s }}
upstreams:
  - {{ name: all, endpoints: [\"{upstream}\"] }}
  - {{ name: told, endpoints: [\"{endpoint}\"] }}
stream_routes: [{{ name: told, listeners: [datagrams], backends: [told] }}]
routes:
  - {{ name: all, listeners: [web], hosts: [swap.example], rules: [{{ backends: [all] }}] }}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_live_until_the_deadline() {
    let mut site = Site::new();
    // Time for a busy machine to start the successor and to ask what is open still.
    site.drain_timeout = "12s";
    let origin = origin::start().await;
    let unused = SocketAddr::from(([127, 0, 0, 1], 9));
    site.configure("0", &configuration(&site, origin, unused));
    let first = site.start(FILE, "0").await;
    let mut old = websocket(site.web.address()).await;
    echo(&mut old, b"before").await;
    site.configure_in("1.yaml", "1", &configuration(&site, origin, unused));
    let mut second = site.start("1.yaml", "1").await;
    for _ in 0..3 {
        echo(&mut old, b"meanwhile").await;
    }
    // It is closed at the deadline, and its daemon ends.
    let count = tokio::time::timeout(LIMIT, old.read(&mut [0; 8])).await.unwrap().unwrap_or(0);
    assert_eq!(count, 0);
    assert_ended(first);
    echo(&mut websocket(site.web.address()).await, b"after").await;
    assert!(second.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_sessions_are_answered_after_a_hand_over() {
    let mut site = Site::new();
    // Longer than the session may be idle, which ends first.
    site.drain_timeout = "40s";
    let origin = origin::start().await;
    let endpoint = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let text = configuration(&site, origin, endpoint.local_addr().unwrap());
    site.configure("0", &text);
    let mut first = site.start(FILE, "0").await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(site.datagrams).await.unwrap();
    let old = asked(&client, b"one", &endpoint).await;

    site.configure_in("1.yaml", "1", &text);
    let starting = site.start("1.yaml", "1");
    let _second = tokio::select! {
        second = starting => second,
        never = keep(&endpoint, old) => match never {},
    };
    let line = tokio::task::block_in_place(|| first.wait_for_line("a successor serves", LIMIT));
    line.unwrap();
    endpoint.send_to(b"answer to one", old).await.unwrap();
    received(&client, b"answer to one").await;
    // What is asked from now on goes to the successor: another session.
    let new = asked(&client, b"two", &endpoint).await;
    assert_ne!(new, old);
    endpoint.send_to(b"answer to two", new).await.unwrap();
    received(&client, b"answer to two").await;
    // The old session was idle for long enough.
    assert_ended(first);
}

/// Asks until the endpoint has heard it; from where. The listener for datagrams may be there a moment
/// after the one that is asked whether lbd is up.
async fn asked(client: &UdpSocket, text: &[u8], endpoint: &UdpSocket) -> SocketAddr {
    let ask = async || -> Infallible {
        loop {
            // Nobody may be there yet.
            client.send(text).await.ok();
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        from = received(endpoint, text) => from,
        never = ask() => match never {},
    }
}

/// Says something in a session all the time, so that it does not end however long a start takes.
async fn keep(endpoint: &UdpSocket, session: SocketAddr) -> Infallible {
    loop {
        endpoint.send_to(b"still here", session).await.unwrap();
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits for a datagram that is `expected`; where it is from.
async fn received(socket: &UdpSocket, expected: &[u8]) -> SocketAddr {
    let mut buffer = [0; 64];
    let come = async {
        loop {
            // What was sent where nobody was yet may be told here.
            let Ok((count, from)) = socket.recv_from(&mut buffer).await else { continue };
            if buffer[..count] == *expected {
                return from;
            }
        }
    };
    tokio::time::timeout(LIMIT, come).await.unwrap()
}

async fn websocket(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {CHAT} HTTP/1.1\r\nHost: swap.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(WEBSOCKET_ACCEPT), "{head}");
    stream
}

async fn echo(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut came = vec![0; text.len()];
    stream.read_exact(&mut came).await.unwrap();
    assert_eq!(came, text);
}
