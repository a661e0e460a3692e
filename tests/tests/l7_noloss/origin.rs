//! A server that answers every request, at once or after a while, and WebSockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use lb_tests::{
    lab::Host,
    load::{CHAT, SLOW},
    origin::WEBSOCKET_ACCEPT,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// How long a request for [`SLOW`] takes.
const SLOW_TIME: Duration = Duration::from_millis(700);
/// The path that is answered when the test says so.
pub(super) const HELD: &str = "/held";

/// What a server knows of its requests.
pub(super) struct Gate {
    asked: AtomicU64,
    held: AtomicU64,
    places: Semaphore,
}

impl Gate {
    /// Requests that came.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    /// Requests for [`HELD`] that wait.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Has so many of them answered.
    pub(super) fn let_go(&self, count: u64) {
        self.places.add_permits(count as usize);
    }

    async fn hold(&self) {
        self.held.fetch_add(1, Relaxed);
        self.places.acquire().await.unwrap().forget();
        self.held.fetch_sub(1, Relaxed);
    }
}

/// Starts a server that lives as long as the runtime; its address.
pub(super) async fn start() -> SocketAddr {
    start_held().await.0
}

/// As [`start`], with what it knows of its requests.
pub(super) async fn start_held() -> (SocketAddr, Arc<Gate>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    run(listener)
}

/// As [`start`], on the loopback of a host of a lab.
pub(super) fn start_on(host: &Host) -> SocketAddr {
    let listener = host.enter(|| std::net::TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    run(TcpListener::from_std(listener).unwrap()).0
}

fn run(listener: TcpListener) -> (SocketAddr, Arc<Gate>) {
    let address = listener.local_addr().unwrap();
    let (asked, held, places) = (AtomicU64::new(0), AtomicU64::new(0), Semaphore::new(0));
    let gate = Arc::new(Gate { asked, held, places });
    let known = Arc::clone(&gate);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&known)));
        }
    });
    (address, gate)
}

/// Answers requests without bodies until the client goes.
async fn serve(mut stream: TcpStream, gate: Arc<Gate>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut received = Vec::new();
    loop {
        let end = loop {
            let end = received.windows(4).position(|it| it == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if stream.read_buf(&mut received).await.ok()? == 0 => return None,
                None => {}
            }
        };
        let head: Vec<u8> = received.drain(..end).collect();
        gate.asked.fetch_add(1, Relaxed);
        if head.starts_with(format!("GET {CHAT} ").as_bytes()) {
            return echo(stream).await;
        }
        if head.starts_with(format!("GET {HELD} ").as_bytes()) {
            gate.hold().await;
        }
        if head.starts_with(format!("GET {SLOW} ").as_bytes()) {
            tokio::time::sleep(SLOW_TIME).await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await.ok()?;
    }
}

/// Accepts a WebSocket and sends back what comes.
async fn echo(mut stream: TcpStream) -> Option<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.ok()?;
    None
}
