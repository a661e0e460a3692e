//! More requests than the worker's CPU can serve, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lb_model::{
    Bind, Compression, Endpoint, EndpointAddress, HostPattern, HttpOptions, Listener,
    ListenerProtocol, Proxy, ProxySettings, Route, RouteBackend, Rule, Upstream,
};
use lb_proxy::http::Reason;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(5);
/// Clients that ask again as soon as they are answered, or sent away.
const CLIENTS: usize = 16;
/// Compressing this takes a worker far longer than [`QUEUE_DELAY_MAX`].
const BODY_BYTES: usize = 256 * 1_024;
const QUEUE_DELAY_MAX: Duration = Duration::from_millis(1);
/// So many of both must be seen.
const ENOUGH: u64 = 40;

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_cpu_for_all_some_are_sent_away_and_the_others_are_served() {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wanted = configuration(address(), origin.local_addr().unwrap());
    tokio::spawn(answer_all(origin));
    let mut proxy = lb_proxy::handle::Proxy::start(&wanted.settings, 1).unwrap();
    assert!(proxy.apply(&wanted, 1).is_empty());
    let counts = Arc::<Counts>::default();
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(ask_on(Arc::clone(&counts)))).collect();
    let seen = async {
        while counts.answered.load(Relaxed) < ENOUGH || counts.refused.load(Relaxed) < ENOUGH {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(LIMIT, seen).await.is_ok(), "{counts:?}");
    counts.is_over.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // One by one they are all served again.
    let served = async {
        let mut in_a_row = 0;
        while in_a_row < 20 {
            in_a_row = if ask(&counts, "identity").await { in_a_row + 1 } else { 0 };
        }
    };
    assert!(timeout(LIMIT, served).await.is_ok(), "{counts:?}");
    let sum = proxy.snapshot().listeners.values().next().unwrap().stats.sum();
    let place = Reason::ALL.iter().position(|it| *it == Reason::Overloaded).unwrap();
    assert_eq!(sum.refusals.get(place), Some(&counts.refused.load(Relaxed)));
    assert_eq!(sum.refusals.iter().sum::<u64>(), counts.refused.load(Relaxed));
    tokio::task::spawn_blocking(move || proxy.stop()).await.unwrap();
}

/// An address that nobody else has: of this process.
fn address() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, high.max(1), low, 1), 7_001))
}

/// What comes is compressed on one worker.
fn configuration(address: SocketAddr, origin: SocketAddr) -> Proxy {
    let listener = Listener {
        vips: [].into(),
        binds: [Bind { address }].into(),
        protocol: ListenerProtocol::Http,
        host: HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: 100,
        http: HttpOptions::default(),
        idle_timeout: LIMIT,
    };
    let (ip, port) = (EndpointAddress::Ip(origin.ip()), origin.port());
    let endpoint = Endpoint { address: ip, port, weight: 1, drain: false };
    let upstream = Upstream { endpoints: [("one".into(), endpoint)].into(), ..Upstream::default() };
    let compression = Compression {
        response: true,
        request: false,
        level: 9,
        types: ["text/plain".to_owned()].into(),
        bytes_min: 1,
    };
    let mut rule = Rule::default();
    rule.filters.compression = Some(compression);
    let backend = Some("origin".to_owned());
    rule.backends = vec![RouteBackend { upstream: backend, weight: 1, filters: <_>::default() }];
    let route =
        Route { listeners: ["web".to_owned()].into(), hosts: [].into(), age: 0, rules: vec![rule] };
    Proxy {
        settings: ProxySettings {
            workers: Some(1),
            queue_delay_max: Some(QUEUE_DELAY_MAX),
            drain_timeout: Duration::ZERO,
            ..ProxySettings::default()
        },
        listeners: [("web".to_owned(), listener)].into(),
        routes: [("all".to_owned(), route.into())].into(),
        upstreams: [("origin".to_owned(), upstream.into())].into(),
        ..Proxy::default()
    }
}

/// Text that takes a while to compress.
fn body() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 16
    };
    (0..BODY_BYTES).map(|_| next()).collect()
}

async fn answer_all(listener: TcpListener) {
    let body: Arc<[u8]> = body().into();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let body = Arc::clone(&body);
        tokio::spawn(async move {
            let mut received = Vec::new();
            while stream.read_buf(&mut received).await.is_ok_and(|count| count > 0) {
                if received.ends_with(b"\r\n\r\n") {
                    received.clear();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    // The proxy closes a connection whose response nobody wants any more.
                    stream.write_all(head.as_bytes()).await.ok();
                    stream.write_all(&body).await.ok();
                }
            }
        });
    }
}

async fn ask_on(counts: Arc<Counts>) {
    while !counts.is_over.load(Relaxed) {
        ask(&counts, "gzip").await;
    }
}

/// Asks once; whether it was served. What is neither served in full nor sent away properly fails.
async fn ask(counts: &Counts, coding: &str) -> bool {
    let mut stream = TcpStream::connect(address()).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut received)).await.unwrap().unwrap();
    let end = received.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let (head, body) = received.split_at(end + 4);
    let head = String::from_utf8(head.to_vec()).unwrap().to_lowercase();
    if head.starts_with("http/1.1 200 ") {
        let is_whole = if coding == "gzip" {
            body.ends_with(b"\r\n0\r\n\r\n")
        } else {
            body.len() == BODY_BYTES
        };
        assert!(is_whole, "cut off: {head}");
        counts.answered.fetch_add(1, Relaxed);
        return true;
    }
    assert!(head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: 1\r\n"), "{head}");
    assert_eq!(body, b"overloaded\n");
    counts.refused.fetch_add(1, Relaxed);
    false
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (answered, refused) = (self.answered.load(Relaxed), self.refused.load(Relaxed));
        write!(f, "{answered} answered, {refused} sent away")
    }
}
