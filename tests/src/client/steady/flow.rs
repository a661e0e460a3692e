//! One steady flow: sending, receiving, and the book kept of both.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lb_userspace::model::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::socket::{connect_tcp, connect_udp, step, within};
use super::super::tally::Failure;
use super::super::tcp::greeting;
use super::super::udp::split;
use super::FlowReport;

/// The limit of opening a flow.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// A message is its number, big-endian.
const MESSAGE_BYTES: usize = 8;

/// What the flows and their owner tell each other.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) open_count: AtomicU64,
    pub(super) answered_count: AtomicU64,
}

/// An open flow.
pub(super) struct Flow {
    socket: Socket,
    book: Book,
}

enum Socket {
    Tcp { stream: TcpStream, unread: Vec<u8> },
    Udp { socket: UdpSocket, local: SocketAddr },
}

/// Which messages are under way, and what became of the others.
struct Book {
    report: FlowReport,
    under_way: BTreeMap<u64, Instant>,
}

impl Flow {
    /// Opens a flow and waits for its first answer: a greeting (TCP) or an echo (UDP).
    pub(super) async fn open(
        protocol: Protocol,
        from: SocketAddr,
        target: SocketAddr,
    ) -> Result<Self, Failure> {
        let (socket, local, backend) = match protocol {
            Protocol::Tcp => {
                let mut stream = connect_tcp(from, target, OPEN_LIMIT).await?;
                let backend = greeting(&mut stream, OPEN_LIMIT).await?.backend;
                let local = step("open", Some(from), stream.local_addr())?;
                (Socket::Tcp { stream, unread: Vec::new() }, local, backend)
            }
            Protocol::Udp => {
                let socket = connect_udp(from, target).await?;
                let local = step("open", Some(from), socket.local_addr())?;
                let backend = first_answer(&socket, local).await?;
                (Socket::Udp { socket, local }, local, backend)
            }
            Protocol::Sctp => step("open", Some(from), Err(io::ErrorKind::Unsupported.into()))?,
        };
        let report = FlowReport {
            protocol,
            target,
            local,
            backend,
            sent: 0,
            answered: 0,
            late: 0,
            moved: 0,
            broken: None,
        };
        Ok(Self { socket, book: Book { report, under_way: BTreeMap::new() } })
    }

    /// Sends a message every `every` until told to stop, then waits for the last answers as long as
    /// the grace.
    pub(super) async fn run(
        mut self,
        every: Duration,
        [late_after, grace]: [Duration; 2],
        shared: &Shared,
    ) -> FlowReport {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shared.stop.load(Ordering::Relaxed) && self.is_usable() {
            tokio::select! {
                _ = ticks.tick() => self.send().await,
                answer = self.socket.receive() => self.book.note(answer, late_after, shared),
            }
        }
        let end = Instant::now() + grace;
        while !self.book.under_way.is_empty() && self.is_usable() {
            let left = end.saturating_duration_since(Instant::now());
            match timeout(left, self.socket.receive()).await {
                Ok(answer) => self.book.note(answer, late_after, shared),
                Err(_) => break,
            }
        }
        self.book.report
    }

    /// A broken TCP connection stays broken; a UDP socket goes on after an ICMP error.
    fn is_usable(&self) -> bool {
        self.book.report.protocol == Protocol::Udp || self.book.report.broken.is_none()
    }

    async fn send(&mut self) {
        let number = self.book.report.sent;
        self.book.report.sent += 1;
        self.book.under_way.insert(number, Instant::now());
        let message = number.to_be_bytes();
        let result = match &mut self.socket {
            Socket::Tcp { stream, .. } => stream.write_all(&message).await,
            Socket::Udp { socket, .. } => socket.send(&message).await.map(drop),
        };
        if let Err(error) = result {
            self.book.broke("send", &error);
        }
    }
}

impl Socket {
    /// The number of the next answer, and over UDP the backend it is from. Losing the returned
    /// future loses no answer.
    async fn receive(&mut self) -> io::Result<(u64, Option<String>)> {
        match self {
            Self::Tcp { stream, unread } => loop {
                if let Some((message, rest)) = unread.split_first_chunk::<MESSAGE_BYTES>() {
                    let number = u64::from_be_bytes(*message);
                    *unread = rest.to_vec();
                    return Ok((number, None));
                }
                if stream.read_buf(unread).await? == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the peer"));
                }
            },
            Self::Udp { socket, local } => {
                let mut buffer = [0; 512];
                let len = socket.recv(&mut buffer).await?;
                let (answer, echo) = split(buffer.get(..len).unwrap_or_default(), *local)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                let message = echo.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
                Ok((u64::from_be_bytes(*message), Some(answer.backend)))
            }
        }
    }
}

impl Book {
    fn note(
        &mut self,
        answer: io::Result<(u64, Option<String>)>,
        late_after: Duration,
        shared: &Shared,
    ) {
        let (number, backend) = match answer {
            Ok(answer) => answer,
            Err(error) => return self.broke("answer", &error),
        };
        // A number that is not under way is a duplicate, or the first answer's.
        let Some(sent_at) = self.under_way.remove(&number) else { return };
        self.report.answered += 1;
        self.report.late += u64::from(sent_at.elapsed() > late_after);
        self.report.moved += u64::from(backend.is_some_and(|name| name != self.report.backend));
        shared.answered_count.fetch_add(1, Ordering::Relaxed);
    }

    fn broke(&mut self, step: &'static str, error: &io::Error) {
        let local = Some(self.report.local);
        self.report.broken.get_or_insert_with(|| Failure { local, step, error: error.to_string() });
    }
}

async fn first_answer(socket: &UdpSocket, local: SocketAddr) -> Result<String, Failure> {
    let here = Some(local);
    // A number that the flow itself never reaches.
    within("send", here, OPEN_LIMIT, socket.send(&u64::MAX.to_be_bytes())).await?;
    let mut buffer = [0; 512];
    let len = within("first answer", here, OPEN_LIMIT, socket.recv(&mut buffer)).await?;
    match split(buffer.get(..len).unwrap_or_default(), local) {
        Ok((answer, _)) => Ok(answer.backend),
        Err(error) => Err(Failure { local: here, step: "first answer", error }),
    }
}
