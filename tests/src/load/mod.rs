//! Clients that ask all the time and tell what failed.

mod h1;
mod h2;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lb_userspace::proxy::drain::IDLE_GRACE;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use crate::lab::Host;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(3);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Failures that are shown.
const SHOWN_MAX: usize = 8;

/// Whom clients ask for, unless a [`Target`] says otherwise.
const NAME: &str = "swap.example";
/// The body of each answer.
pub const BODY: &str = "ok\n";
/// The path that takes a while.
pub const SLOW: &str = "/slow";
/// The path of WebSockets.
pub const CHAT: &str = "/chat";
/// The path of calls of gRPC.
pub const CALL: &str = "/load.Load/Call";

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP/1.1 over one connection for as long as it is kept.
    KeepAlive,
    /// HTTP/1.1 over a connection for each request.
    Connections,
    /// As before, for what takes a while.
    Slow,
    /// HTTP/2, with prior knowledge or ALPN, over one connection for as long as it is kept.
    Http2,
    /// Calls of gRPC, in the same way.
    Grpc,
    /// A WebSocket, some messages long, and then the next.
    WebSocket,
}

impl Way {
    const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc)
    }
}

/// Whom clients ask, and from where.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    from: Option<Host>,
    name: String,
    tls: Option<Arc<ClientConfig>>,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { address, from: None, name: NAME.to_owned(), tls: None }
    }
}

impl Target {
    /// Asked from a host of a lab.
    #[must_use]
    pub fn on(self, host: &Host) -> Self {
        Self { from: Some(host.clone()), ..self }
    }

    /// Asked for another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Asked over TLS.
    #[must_use]
    pub fn secure(self, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

/// What clients tell.
#[derive(Default)]
pub struct Tally {
    stop: AtomicBool,
    /// Requests that were answered as they should be.
    pub answers: AtomicU64,
    /// Connections that were opened.
    pub connections: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Clients under way.
pub struct Load {
    /// What they tell.
    pub tally: Arc<Tally>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// One client for each of the ways.
    pub fn start(target: impl Into<Target>, ways: &[Way]) -> Self {
        let mut load = Self { tally: Arc::default(), tasks: Vec::new() };
        let target = target.into();
        for &way in ways {
            let (tally, target) = (Arc::clone(&load.tally), target.clone());
            load.tasks.push(tokio::spawn(async move {
                while !tally.is_over() {
                    let done = once(&target, way, &tally).await;
                    tally.note(&format!("{way:?}"), done);
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        load
    }

    /// A client that makes a TLS connection for each request.
    pub fn start_secure(address: SocketAddr, roots: &[CertificateDer<'static>]) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let config = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
        Self::start(Target::from(address).secure(Arc::new(config)), &[Way::Connections])
    }

    /// Lets the clients finish, and returns how many requests were answered; panics if anything
    /// failed or nothing was asked.
    #[expect(clippy::panic, reason = "an assertion of a test")]
    pub async fn assert_nothing_failed(self) -> u64 {
        self.tally.stop.store(true, Relaxed);
        for task in self.tasks {
            if let Err(panic) = task.await {
                panic!("a client: {panic}");
            }
        }
        let failures = self.tally.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<_> = failures.iter().take(SHOWN_MAX).collect();
        assert!(failures.is_empty(), "{} failures, as {shown:#?}", failures.len());
        let answers = self.tally.answers.load(Relaxed);
        assert!(answers > 0, "nothing was asked");
        answers
    }
}

impl Tally {
    fn is_over(&self) -> bool {
        self.stop.load(Relaxed)
    }

    fn note(&self, way: &str, done: Result<(), String>) {
        if let Err(why) = done {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(format!("{way}: {why}"));
        }
    }

    fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }
}

/// Asks in a way until a connection is over.
async fn once(target: &Target, way: Way, tally: &Tally) -> Result<(), String> {
    let pace = Pace::default();
    let stream = connect(target, way, tally).await?;
    match way {
        Way::KeepAlive => h1::keep_alive(stream, target, tally, pace).await,
        Way::Connections => h1::one(stream, target, "/", tally, pace).await,
        Way::Slow => h1::one(stream, target, SLOW, tally, pace).await,
        Way::WebSocket => h1::websocket(stream, target, tally).await,
        Way::Http2 => h2::requests(stream, target, tally, pace).await,
        Way::Grpc => h2::calls(stream, target, tally, pace).await,
    }
}

/// How fast a client goes on with a connection. A server that leaves waits for the next request no
/// longer than [`IDLE_GRACE`]: a machine so busy that it did not let a client ask for so long breaks
/// connections that the server need not keep.
struct Pace {
    last: Instant,
    is_too_slow: bool,
}

impl Default for Pace {
    /// From the moment before the connection is there.
    fn default() -> Self {
        Self { last: Instant::now(), is_too_slow: false }
    }
}

impl Pace {
    /// Called before each request.
    fn goes_on(&mut self) {
        let now = Instant::now();
        // From request to request: when the server began to wait is not known better.
        self.is_too_slow = now - self.last >= IDLE_GRACE;
        self.last = now;
    }

    /// An error of the request, unless it came too late.
    fn judge<T>(&self, done: Result<T, String>) -> Result<Option<T>, String> {
        match done {
            Err(_) if self.is_too_slow => Ok(None),
            done => done.map(Some),
        }
    }
}

/// A connection, whatever is below it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn connect(target: &Target, way: Way, tally: &Tally) -> Result<Box<dyn Stream>, String> {
    let connecting = async {
        let address = target.address;
        let socket = || if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        // A socket stays in the namespace that it was made in.
        let socket = match &target.from {
            Some(host) => host.enter(socket).map_err(|it| format!("namespace: {it}"))?,
            None => socket(),
        };
        let socket = socket.map_err(|it| format!("socket: {it}"))?;
        let stream = socket.connect(address).await.map_err(|it| format!("connect: {it}"))?;
        stream.set_nodelay(true).map_err(|it| format!("connection: {it}"))?;
        tally.connections.fetch_add(1, Relaxed);
        let Some(config) = &target.tls else { return Ok(Box::new(stream) as Box<dyn Stream>) };
        let mut config = ClientConfig::clone(config);
        let spoken: &[u8] = if way.is_http2() { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![spoken.to_vec()];
        let name = ServerName::try_from(target.name.clone()).map_err(|it| it.to_string())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|it| format!("handshake: {it}"))?) as Box<dyn Stream>)
    };
    tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| "no connection".to_owned())?
}
