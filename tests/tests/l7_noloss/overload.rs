//! Three times as many requests as the endpoints may have under way: these stay busy, and whoever is
//! too many is told so at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    origin, rounds,
    site::{FILE, LIMIT, Site},
};

/// Requests that the upstream may have under way.
const CAPACITY: u64 = 16;
const CLIENTS: u64 = 3 * CAPACITY;
/// How often all of them are answered.
const ROUNDS: (usize, usize) = (500, 50);
/// A client that was sent away comes back after this.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    shed: AtomicU64,
    is_over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_lose_nothing_of_what_the_endpoints_can_do() {
    let site = Site::new();
    let (endpoint, gate) = origin::start_held().await;
    site.configure(
        "0",
        &format!(
            "upstreams:
  - {{ name: all, endpoints: [\"{endpoint}\"], limits: {{ requests_max: {CAPACITY} }} }}
routes:
  - {{ name: all, listeners: [web], hosts: [swap.example], rules: [{{ backends: [all] }}] }}"
        ),
    );
    let _lbd = site.start(FILE, "0").await;
    let counts = Arc::<Counts>::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(ask_on(site.web.address(), Arc::clone(&counts))))
        .collect();
    let all = rounds(ROUNDS);
    for round in 1..=all as u64 {
        // All that the endpoint may have is there, and everybody else was sent away meanwhile:
        // nobody waits behind what takes long.
        let before = counts.shed.load(Relaxed);
        until(|| gate.held() == CAPACITY, || format!("{} held", gate.held())).await;
        let enough = || counts.shed.load(Relaxed) >= before + CLIENTS - CAPACITY;
        until(enough, || "too few are sent away".to_owned()).await;
        assert_eq!(counts.answered.load(Relaxed), (round - 1) * CAPACITY);
        gate.let_go(CAPACITY);
        let answered = || counts.answered.load(Relaxed) == round * CAPACITY;
        until(answered, || format!("{} answered", counts.answered.load(Relaxed))).await;
    }
    counts.is_over.store(true, Relaxed);
    gate.let_go(CLIENTS);
    for client in clients {
        client.await.unwrap();
    }
}

/// Asks until it is over; whatever is no answer, and does not send it away properly, fails.
async fn ask_on(address: std::net::SocketAddr, counts: Arc<Counts>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let held = origin::HELD;
    let request = format!("GET {held} HTTP/1.1\r\nHost: swap.example\r\n\r\n");
    while !counts.is_over.load(Relaxed) {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let is_whole = |it: &[u8]| it.ends_with(b"ok\n") || it.ends_with(b"circuit_open\n");
        while !is_whole(&received) {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed");
        }
        let text = String::from_utf8(received).unwrap().to_lowercase();
        if text.starts_with("http/1.1 200 ") {
            counts.answered.fetch_add(1, Relaxed);
        } else {
            assert!(text.starts_with("http/1.1 503 ") && text.contains("\r\nretry-after: 1\r\n"));
            counts.shed.fetch_add(1, Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn until(is_so: impl Fn() -> bool, what: impl Fn() -> String) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waited).await;
    assert!(waited.is_ok(), "{}", what());
}
