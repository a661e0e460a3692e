//! The origin, and who asks the proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two questions about the same.
const PAUSE: Duration = Duration::from_micros(500);

/// Addresses of the origin: any of them answers.
pub(super) const ORIGINS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4)),
];

/// Starts the origin, which lasts as long as this process, and returns its port.
pub(super) fn origin() -> Result<u16> {
    let [first, others @ ..] = ORIGINS;
    let mut listeners = vec![TcpListener::bind((first, 0))?];
    let port = listeners.first().context("a listener")?.local_addr()?.port();
    for address in others {
        listeners.push(TcpListener::bind((address, port))?);
    }
    for listener in listeners {
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
    }
    Ok(port)
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
    }
}

/// A client with one connection.
pub(super) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Asks at this address.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// The status of the answer for a host.
    pub(super) fn ask(&mut self, host: &str) -> Result<u16> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        let (status, connection) = ask(connection, host)?;
        self.connection = connection;
        Ok(status)
    }

    /// Asks until the answer is 200.
    pub(super) fn await_ok(&mut self, host: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.ask(host);
            if matches!(answer, Ok(200)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{host} is not served within {limit:?}: {answer:?}");
            }
            thread::sleep(PAUSE);
        }
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(BufReader::new(stream))
}

type Connection = BufReader<TcpStream>;

fn ask(mut connection: Connection, host: &str) -> Result<(u16, Option<Connection>)> {
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let (mut status, mut length, mut closes) = (None, 0_u64, false);
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            bail!("closed without an answer");
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if status.is_none() {
            status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
        } else if let Some((name, value)) = text.split_once(':') {
            match name {
                "content-length" => length = value.trim().parse()?,
                "connection" => closes = value.trim() == "close",
                _ => {}
            }
        }
    }
    std::io::copy(&mut connection.by_ref().take(length), &mut std::io::sink())?;
    Ok((status.context("no status")?, (!closes).then_some(connection)))
}

/// A client that asks one host all the time.
pub(super) struct Steady {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Steady {
    /// Begins.
    pub(super) fn start(address: SocketAddr, host: String) -> Self {
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            let mut client = Client::new(address);
            while !shared.is_over.load(Ordering::Relaxed) {
                let is_ok = matches!(client.ask(&host), Ok(200));
                shared.requests.fetch_add(1, Ordering::Relaxed);
                shared.errors.fetch_add(u64::from(!is_ok), Ordering::Relaxed);
                thread::sleep(PAUSE * 2);
            }
        });
        Self { counts, thread: Some(thread) }
    }

    /// Ends; requests, and those of them that failed.
    pub(super) fn end(mut self) -> (u64, u64) {
        self.counts.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            thread.join().ok();
        }
        let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
        (count(&self.counts.requests), count(&self.counts.errors))
    }
}
