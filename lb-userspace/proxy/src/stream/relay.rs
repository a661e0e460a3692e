//! Bytes both ways between a client and an endpoint.

use crate::{drain::Drain, io::Io};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};

/// How long a session may go on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Without a byte in either direction.
    pub idle_timeout: Duration,
    /// After draining has begun.
    pub drain_timeout: Duration,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from the client.
    pub sent_bytes: u64,
    /// Bytes from the endpoint.
    pub received_bytes: u64,
    /// How it ended.
    pub end: End,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both sides were done.
    Closed,
    /// The client reset it, or could not be written to.
    ClientReset,
    /// The endpoint reset it, or could not be written to.
    EndpointReset,
    /// Nothing came for too long.
    Idle,
    /// It was told to end.
    Drained,
}

impl End {
    /// Stable name, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ClientReset => "client_reset",
            Self::EndpointReset => "endpoint_reset",
            Self::Idle => "idle",
            Self::Drained => "drained",
        }
    }
}

/// Gives each side what the other sends until both are done. A side that is done with sending is
/// half-closed on the other; one that resets has the other reset.
pub async fn relay(client: Io, endpoint: Io, limits: Limits, drain: Drain) -> Relayed {
    let (mut client, mut endpoint) = (client, endpoint);
    let clock = Clock(Cell::new(Instant::now()));
    let (mut there, mut back) = (Way::default(), Way::default());
    let copied = poll_fn(|context| {
        let there_done = there.poll(context, &mut client, &mut endpoint, &clock);
        let back_done = back.poll(context, &mut endpoint, &mut client, &clock);
        match (there_done, back_done) {
            (Poll::Ready(Err(broken)), _) => {
                Poll::Ready(broken.end(End::ClientReset, End::EndpointReset))
            }
            (_, Poll::Ready(Err(broken))) => {
                Poll::Ready(broken.end(End::EndpointReset, End::ClientReset))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Closed),
            _ => Poll::Pending,
        }
    });
    let end = tokio::select! {
        end = copied => end,
        () = clock.idle(limits.idle_timeout) => End::Idle,
        () = drained(drain, limits.drain_timeout) => End::Drained,
    };
    match end {
        End::ClientReset => reset(endpoint.tcp()),
        End::EndpointReset => reset(client.tcp()),
        End::Closed | End::Idle | End::Drained => {}
    }
    Relayed { sent_bytes: there.bytes, received_bytes: back.bytes, end }
}

/// Has the close of a socket be a reset, so that its peer learns that something is missing.
fn reset(tcp: Option<&TcpStream>) {
    if let Some(error) = tcp.and_then(|tcp| tcp.set_zero_linger().err()) {
        tracing::debug!(%error, "a session could not be reset");
    }
}

async fn drained(mut drain: Drain, timeout: Duration) {
    drain.started().await;
    sleep(timeout).await;
}

/// When a byte came last.
struct Clock(Cell<Instant>);

impl Clock {
    fn ring(&self) {
        self.0.set(Instant::now());
    }

    /// Waits until no byte has come for `timeout`.
    async fn idle(&self, timeout: Duration) {
        loop {
            let last = self.0.get();
            sleep_until(last + timeout).await;
            if self.0.get() == last {
                return;
            }
        }
    }
}

/// Bytes read at once. Of a session that nothing is held of, nothing is kept: the buffer is the
/// thread's.
const READ_BYTES: usize = 64 * 1_024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// One direction.
#[derive(Default)]
struct Way {
    /// What was read and not yet written, from `written` on: at most one read.
    held: Vec<u8>,
    written: usize,
    bytes: u64,
    needs_flush: bool,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// All was read.
    Ended,
    /// The other side knows.
    Done,
}

/// Which side failed.
enum Broken {
    From,
    To,
}

impl Broken {
    fn end(self, from: End, to: End) -> End {
        match self {
            Self::From => from,
            Self::To => to,
        }
    }
}

impl Way {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Io,
        to: &mut Io,
        clock: &Clock,
    ) -> Poll<Result<(), Broken>> {
        loop {
            ready!(self.poll_held(context, to, clock))?;
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Ended => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context)).map_err(|_| Broken::To)?;
                    self.state = State::Done;
                }
                State::Open => {
                    let polled = BUFFER
                        .with_borrow_mut(|buffer| self.poll_read(context, from, to, clock, buffer));
                    ready!(polled)?;
                }
            }
        }
    }

    /// Writes what is held, if anything is.
    fn poll_held(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Io,
        clock: &Clock,
    ) -> Poll<Result<(), Broken>> {
        while let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.written += ready!(poll_write(context, to, rest)).map_err(|_| Broken::To)?;
            self.needs_flush = true;
            clock.ring();
        }
        // The allocation goes with the last byte.
        self.held = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes what it can of it.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Io,
        to: &mut Io,
        clock: &Clock,
        buffer: &mut [u8],
    ) -> Poll<Result<(), Broken>> {
        let mut read = ReadBuf::new(buffer);
        let Poll::Ready(result) = Pin::new(from).poll_read(context, &mut read) else {
            // TLS keeps what was written until it is told that nothing follows at once.
            if self.needs_flush {
                ready!(Pin::new(to).poll_flush(context)).map_err(|_| Broken::To)?;
                self.needs_flush = false;
            }
            return Poll::Pending;
        };
        match result {
            Ok(()) => {}
            // TLS that ends without saying so: what came is complete to those who have a protocol
            // of their own inside; the end is passed on.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(_) => return Poll::Ready(Err(Broken::From)),
        }
        let mut bytes = read.filled();
        if bytes.is_empty() {
            self.state = State::Ended;
            return Poll::Ready(Ok(()));
        }
        self.bytes += bytes.len() as u64;
        clock.ring();
        while !bytes.is_empty() {
            let Poll::Ready(result) = poll_write(context, to, bytes) else {
                self.held = bytes.to_vec();
                break;
            };
            let count = result.map_err(|_| Broken::To)?;
            self.needs_flush = true;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_write(context: &mut Context<'_>, to: &mut Io, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(to).poll_write(context, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        result => Poll::Ready(result),
    }
}
