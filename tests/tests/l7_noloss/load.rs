//! Clients that ask all the time and tell what failed.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use lb_tests::lab::Host;
use lb_userspace::proxy::drain::IDLE_GRACE;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::origin::SLOW;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(3);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// HTTP/1.1 over one connection for as long as it is kept.
    KeepAlive,
    /// HTTP/1.1 over a connection for each request.
    Connections,
    /// As before, for what takes a while.
    Slow,
    /// HTTP/2 with prior knowledge over one connection for as long as it is kept.
    Http2,
}

/// Whom clients ask, and from where.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// The host of a lab that they are on.
    pub(super) from: Option<Host>,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { address, from: None }
    }
}

/// What clients tell.
#[derive(Default)]
pub(super) struct Tally {
    stop: AtomicBool,
    pub(super) answers: AtomicU64,
    pub(super) connections: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Clients under way.
pub(super) struct Load {
    pub(super) tally: Arc<Tally>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// One client for each of the ways.
    pub(super) fn start(target: impl Into<Target>, ways: &[Way]) -> Self {
        let mut load = Self { tally: Arc::default(), tasks: Vec::new() };
        let target = target.into();
        for &way in ways {
            let (tally, target) = (Arc::clone(&load.tally), target.clone());
            load.tasks.push(tokio::spawn(async move {
                while !tally.is_over() {
                    let done = match way {
                        Way::KeepAlive => keep_alive(&target, &tally).await,
                        Way::Connections => once(&target, "/", &tally).await,
                        Way::Slow => once(&target, SLOW, &tally).await,
                        Way::Http2 => http2(&target, &tally).await,
                    };
                    tally.note(&format!("{way:?}"), done);
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        load
    }

    /// A client that makes a TLS connection for each request.
    pub(super) fn start_secure(address: SocketAddr, roots: &[CertificateDer<'static>]) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let config = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let tally = Arc::<Tally>::default();
        let told = Arc::clone(&tally);
        let task = tokio::spawn(async move {
            while !told.is_over() {
                told.note("Tls", secure(&address.into(), &connector, &told).await);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { tally, tasks: vec![task] }
    }

    /// Lets the clients finish; panics if anything failed or nothing was asked.
    pub(super) async fn assert_nothing_failed(self) -> u64 {
        self.tally.stop.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let failures = self.tally.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "{} failures, as {:#?}",
            failures.len(),
            failures.iter().take(8)
        );
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
            self.failures.lock().unwrap().push(format!("{way}: {why}"));
        }
    }

    fn answered(&self) {
        self.answers.fetch_add(1, Relaxed);
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, String> {
        let Target { address, from } = target;
        let socket = || if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        // A socket stays in the namespace that it was made in.
        let socket = match from {
            Some(host) => host.enter(socket).map_err(|it| format!("namespace: {it}"))?,
            None => socket(),
        };
        let socket = socket.map_err(|it| format!("socket: {it}"))?;
        let stream = socket.connect(*address).await.map_err(|it| format!("connect: {it}"))?;
        stream.set_nodelay(true).map_err(|it| format!("connection: {it}"))?;
        self.connections.fetch_add(1, Relaxed);
        Ok(stream)
    }
}

async fn keep_alive(target: &Target, tally: &Tally) -> Result<(), String> {
    let mut stream = tally.connect(target).await?;
    let (mut asked, mut last) = (0, Instant::now());
    while !tally.is_over() {
        asked += 1;
        let paused = last.elapsed();
        let goes_on = match ask(&mut stream, "/").await {
            Ok(goes_on) => goes_on,
            // A busy machine did not let this client ask while the server still waited for it.
            Err(_) if paused >= IDLE_GRACE => return Ok(()),
            Err(why) => return Err(format!("request {asked}: {why}")),
        };
        tally.answered();
        if !goes_on {
            return Ok(());
        }
        last = Instant::now();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn once(target: &Target, path: &str, tally: &Tally) -> Result<(), String> {
    let mut stream = tally.connect(target).await?;
    ask(&mut stream, path).await?;
    tally.answered();
    Ok(())
}

async fn secure(target: &Target, tls: &TlsConnector, tally: &Tally) -> Result<(), String> {
    let stream = tally.connect(target).await?;
    let name = ServerName::try_from("swap.example").unwrap();
    let mut stream = tls.connect(name, stream).await.map_err(|it| format!("handshake: {it}"))?;
    ask(&mut stream, "/").await?;
    tally.answered();
    Ok(())
}

/// Asks once; whether the connection goes on.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    path: &str,
) -> Result<bool, String> {
    let asked = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: swap.example\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|it| format!("write: {it}"))?;
        let mut received = Vec::new();
        while !received.ends_with(b"ok\n") {
            let count = stream.read_buf(&mut received).await.map_err(|it| format!("read: {it}"))?;
            if count == 0 {
                return Err(format!("ended at {:?}", String::from_utf8_lossy(&received)));
            }
        }
        let text = String::from_utf8_lossy(&received).to_lowercase();
        if text.starts_with("http/1.1 200 ") {
            Ok(!text.contains("connection: close"))
        } else {
            Err(text)
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| "no answer".to_owned())?
}

async fn http2(target: &Target, tally: &Tally) -> Result<(), String> {
    let stream = tally.connect(target).await?;
    let wrong = |what: &str| {
        let what = what.to_owned();
        move |it: h2::Error| format!("{what}: {it}")
    };
    let (mut sender, connection) =
        h2::client::handshake(stream).await.map_err(wrong("handshake"))?;
    let driven = tokio::spawn(connection);
    while !tally.is_over() {
        // Nothing is lost with a request that was not begun.
        match sender.clone().ready().await {
            Ok(ready) => sender = ready,
            Err(error) if is_farewell(&error) => break,
            Err(error) => return Err(format!("ready: {error}")),
        }
        let request = http::Request::get("http://swap.example/").body(()).unwrap();
        let response = match sender.send_request(request, true) {
            Ok((response, _)) => response,
            Err(error) if is_farewell(&error) => break,
            Err(error) => return Err(format!("send: {error}")),
        };
        let answered = tokio::time::timeout(PATIENCE, response).await;
        let response = match answered.map_err(|_| "no answer".to_owned())? {
            Ok(response) => response,
            // A request that was begun is answered, farewell or not: nobody has to ask again.
            Err(error) => return Err(format!("answer: {error}")),
        };
        body(response).await.map_err(|it| format!("body: {it}"))?;
        tally.answered();
        tokio::time::sleep(PAUSE).await;
    }
    drop(sender);
    // The server closes after its farewell, or the client does now.
    driven
        .await
        .unwrap()
        .or_else(|error| if is_farewell(&error) { Ok(()) } else { Err(format!("end: {error}")) })
}

fn is_farewell(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
}

async fn body(response: http::Response<h2::RecvStream>) -> Result<(), String> {
    let status = response.status();
    let mut body = response.into_body();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        let data: Bytes = data.map_err(|it| it.to_string())?;
        received.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).map_err(|it| it.to_string())?;
    }
    if status == 200 && received == b"ok\n" {
        Ok(())
    } else {
        Err(format!("{status} {received:?}"))
    }
}
