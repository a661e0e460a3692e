//! A connection to an endpoint that speaks HTTP/2.

use super::{
    limits,
    meter::Meter,
    metered::Metered,
    upstream::{self, Exchanged},
};
use crate::{
    http::{Informational, Reason, Request, Response},
    io::Io,
    send::SendError,
};
use bytes::Bytes;
use h2::{Ping, PingPong, client::SendRequest};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

type Library = h2::client::Connection<Metered, Bytes>;

/// How HTTP/2 is spoken to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Bytes of a response's header section, each field counted with 32 more (RFC 9113, section
    /// 6.5.2).
    pub header_bytes_max: u32,
    /// Streams under way at once, even if the endpoint allows more.
    pub streams_max: u32,
    /// With streams under way and nothing read for so long, the endpoint is asked by a PING
    /// whether it is there. gRPC servers do not like to be asked more often than every five
    /// minutes (gRPC A8).
    pub ping_after: Duration,
    /// Without an answer to the PING for so long, the connection is over.
    pub ping_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            header_bytes_max: 64 * 1_024,
            streams_max: 1_000,
            ping_after: Duration::from_secs(301),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

/// A connection to an endpoint. Clones share it; it is closed when the last one and the last
/// response body are gone.
#[derive(Clone)]
pub struct Client {
    library: RefCell<SendRequest<Bytes>>,
    shared: Rc<Shared>,
}

/// What clones, exchanges and the connection's task share.
pub(super) struct Shared {
    pub(super) meter: Rc<Meter>,
    pub(super) active: Cell<u32>,
    pub(super) is_closed: Cell<bool>,
    /// A response came on it.
    pub(super) has_answered: Cell<bool>,
    /// The endpoint did not answer a PING.
    is_dead: Cell<bool>,
    streams_max: u32,
}

impl Client {
    /// Speaks HTTP/2 on `io` and waits for the endpoint's SETTINGS, so that what is known about
    /// the connection is right from the first request on. The caller limits the time. Must run on
    /// a `LocalSet`: the connection becomes a task of it.
    ///
    /// # Errors
    /// The endpoint went away, or it does not speak HTTP/2. Never seen.
    pub async fn connect(io: Io, options: ClientOptions) -> Result<Self, SendError> {
        let meter = Rc::new(Meter::of_client());
        let io = Metered::new(io, meter.clone());
        let handshake = builder(&options).handshake(io).await;
        let (library, connection) =
            handshake.map_err(|_| SendError::unseen(Reason::UpstreamReset))?;
        let mut connection = Box::pin(connection);
        poll_fn(|context| poll_settings(context, &mut connection, &meter)).await?;
        let shared = Rc::new(Shared {
            meter,
            active: Cell::new(0),
            is_closed: Cell::new(false),
            has_answered: Cell::new(false),
            is_dead: Cell::new(false),
            streams_max: options.streams_max,
        });
        tokio::task::spawn_local(run(connection, shared.clone(), options));
        Ok(Self { library: RefCell::new(library), shared })
    }

    /// Whether another stream may be opened at once.
    pub fn has_capacity(&self) -> bool {
        self.streams_available() > 0
    }

    /// How many streams may be opened at once.
    pub fn streams_available(&self) -> usize {
        if self.is_closed() {
            return 0;
        }
        let max =
            self.library.borrow().current_max_send_streams().min(self.shared.streams_max as usize);
        max.saturating_sub(self.shared.active.get() as usize)
    }

    /// Streams under way.
    pub fn streams_active(&self) -> usize {
        self.shared.active.get() as usize
    }

    /// Whether no stream can be opened any more: the endpoint closed it or said GOAWAY.
    pub fn is_closed(&self) -> bool {
        if self.shared.is_closed.get() {
            return true;
        }
        let mut library = self.library.borrow_mut();
        let ready = library.poll_ready(&mut Context::from_waker(Waker::noop()));
        matches!(ready, Poll::Ready(Err(_)))
    }

    /// Sends a request and waits for the response's header. The request's body is taken when its
    /// stream is opened, and sent in the background. Informational responses go to `early`.
    ///
    /// # Errors
    /// See [`SendError`]. Without a free stream: [`Reason::CircuitOpen`], unseen. An upgrade that the endpoint cannot take (RFC 8441) is unseen.
    pub async fn exchange(
        &self,
        request: &mut Request,
        early: &Informational,
    ) -> Result<Response, SendError> {
        // A clone, since it remembers a stream that waits to be opened.
        let mut library = self.library.borrow().clone();
        if request.upgrade.is_some() && !library.is_extended_connect_protocol_enabled() {
            return Err(SendError::unseen(Reason::UpstreamMalformed));
        }
        let frames_before = self.shared.meter.frame_count();
        if !self.has_capacity() {
            let is_closed = self.is_closed();
            let reason = if is_closed { Reason::UpstreamReset } else { Reason::CircuitOpen };
            return Err(SendError::unseen(reason));
        }
        let exchanged = Exchanged::new(self.shared.clone());
        let result = upstream::exchange(&mut library, exchanged, request, early).await;
        result.map_err(|failed| match failed {
            upstream::Failed::Library(error) => self.error(&error, frames_before),
            upstream::Failed::Invalid(reason) => SendError::seen(reason),
        })
    }

    /// What the library's error says about the request.
    fn error(&self, error: &h2::Error, frames_before: u64) -> SendError {
        let reason = if error.is_io() || error.is_remote() {
            Reason::UpstreamReset
        } else {
            Reason::UpstreamMalformed
        };
        if error.is_go_away() || error.is_io() {
            self.shared.is_closed.set(true);
        }
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // Only streams above the last that it looked at get the endpoint's GOAWAY as their error.
        let is_above = error.is_go_away() && error.is_remote();
        // A kept connection on which nothing came since: it was closed before the request got there.
        let is_stale = error.is_io()
            && !self.shared.is_dead.get()
            && self.shared.has_answered.get()
            && frames_before == self.shared.meter.frame_count();
        SendError { reason, is_unseen: is_refused || is_above || is_stale }
    }
}

fn builder(options: &ClientOptions) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_header_list_size(options.header_bytes_max)
        .max_send_buffer_size(limits::SEND_BUFFER_BYTES_MAX)
        .max_local_error_reset_streams(Some(limits::RESETS_MADE_MAX))
        .max_concurrent_reset_streams(limits::RESETS_REMEMBERED_MAX)
        .reset_stream_duration(limits::RESET_REMEMBERED);
    builder
}

fn poll_settings(
    context: &mut Context<'_>,
    connection: &mut Pin<Box<Library>>,
    meter: &Meter,
) -> Poll<Result<(), SendError>> {
    let polled = connection.as_mut().poll(context);
    let is_malformed = match &polled {
        Poll::Ready(Err(error)) => !error.is_io(),
        Poll::Ready(Ok(())) | Poll::Pending => meter.is_exceeded(),
    };
    if is_malformed {
        return Poll::Ready(Err(SendError::unseen(Reason::UpstreamMalformed)));
    }
    match polled {
        Poll::Ready(_) => Poll::Ready(Err(SendError::unseen(Reason::UpstreamReset))),
        Poll::Pending if meter.has_settings() => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    }
}

/// Moves the connection's frames until it is over.
async fn run(mut connection: Pin<Box<Library>>, shared: Rc<Shared>, options: ClientOptions) {
    {
        let pings = connection.ping_pong();
        let over = async {
            // How it ended, its streams tell.
            connection.as_mut().await.ok();
        };
        let exceeded = poll_fn(|context| shared.meter.poll_exceeded(context).map(drop));
        tokio::select! {
            biased;
            () = over => {}
            () = exceeded => {}
            () = silent(pings, &shared, options) => shared.is_dead.set(true),
        }
    }
    shared.is_closed.set(true);
}

/// Waits until the endpoint does not answer any more.
async fn silent(pings: Option<PingPong>, shared: &Shared, options: ClientOptions) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        let due = shared.meter.last_read() + options.ping_after;
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
            continue;
        }
        if shared.active.get() == 0 {
            // Nobody waits for anything; the pool closes what is not used.
            tokio::time::sleep(options.ping_after).await;
            continue;
        }
        let pong = pin!(pings.ping(Ping::opaque()));
        if tokio::time::timeout(options.ping_timeout, pong).await.is_err() {
            return;
        }
    }
}
