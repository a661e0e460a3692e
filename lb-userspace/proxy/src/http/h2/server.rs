//! A client's HTTP/2 connection: one task, and one for each stream.

use super::{answer, clock::Clock, clock::Event, limits, meter::Meter, metered::Metered};
use crate::{
    connection::Connection,
    drain::Drain,
    http::{Reason as Refused, Service},
    io::Io,
};
use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use lb_model::HttpOptions;
use std::{cell::Cell, future::poll_fn, rc::Rc, sync::Arc, task::Waker};
use tokio::time::Instant;

type Library = h2::server::Connection<Metered, Bytes>;

/// What a connection's task and its streams share.
pub(super) struct Shared<S> {
    pub(super) connection: Rc<Connection>,
    pub(super) service: Rc<S>,
    pub(super) options: Arc<HttpOptions>,
    pub(super) meter: Rc<Meter>,
    pub(super) streams: Streams,
}

/// The streams under way.
pub(super) struct Streams {
    active: Cell<u32>,
    idle_since: Cell<Instant>,
    must_end: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// Speaks HTTP/2 with a client until either has had enough. Must run on a `LocalSet`: every
/// stream becomes a task of it. Dropped, it takes its streams along.
pub async fn serve<S: Service + 'static>(
    io: Io,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    mut drain: Drain,
) {
    let meter = Rc::new(Meter::of_server());
    let handshake = builder(&options).handshake(Metered::server(io, meter.clone()));
    let Ok(handshake) = tokio::time::timeout(options.header_timeout, handshake).await else {
        service.refused(&connection, Refused::HeaderTimeout);
        return;
    };
    let mut library = match handshake {
        Ok(library) => library,
        Err(error) => return refused(&*service, &connection, &error),
    };
    let streams = Streams::new();
    let shared = Rc::new(Shared { connection, service, options, meter, streams });
    let mut clock = Clock::new(library.ping_pong());
    let drained = drain.started();
    tokio::pin!(drained);
    let mut request_count = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = &mut drained, if !shared.meter.is_leaving() => shared.meter.leave(),
            stream = library.accept() => match stream {
                Some(Ok((request, respond))) => {
                    begin(&shared, request, respond);
                    request_count = request_count.saturating_add(1);
                    let is_last = shared.options.requests_max.is_some_and(|it| request_count >= it);
                    if is_last {
                        shared.meter.leave();
                    }
                }
                // The library has closed it.
                Some(Err(error)) => {
                    return refused(&*shared.service, &shared.connection, &error);
                }
                None => return,
            },
            reason = poll_fn(|context| shared.meter.poll_exceeded(context)) => {
                shared.service.refused(&shared.connection, Refused::Malformed);
                return close(library, reason).await;
            }
            event = poll_fn(|context| clock.poll_event(context, &shared)) => match event {
                Event::Unused => shared.meter.leave(),
                // Only now the library says the same, asks whether the client has heard it, and
                // then names the last stream. Had it done so at once, requests that a client had
                // begun but not yet sent when it answered would be lost.
                Event::Told => library.graceful_shutdown(),
                Event::Slow => {
                    shared.service.refused(&shared.connection, Refused::HeaderTimeout);
                    return close(library, Reason::ENHANCE_YOUR_CALM).await;
                }
                Event::Gone => return close(library, Reason::NO_ERROR).await,
            },
        }
    }
}

fn builder(options: &HttpOptions) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(options.streams_max)
        .initial_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        // The listener's limit is checked above, where it can be accounted for; what is far beyond
        // it does not get there.
        .max_header_list_size(options.header_bytes_max.saturating_mul(2))
        .max_send_buffer_size(limits::SEND_BUFFER_BYTES_MAX)
        .max_pending_accept_reset_streams(limits::RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(limits::RESETS_MADE_MAX))
        .max_concurrent_reset_streams(limits::RESETS_REMEMBERED_MAX)
        .reset_stream_duration(limits::RESET_REMEMBERED)
        .enable_connect_protocol();
    builder
}

/// Tells that a client broke the rules, if it did.
fn refused(service: &impl Service, connection: &Rc<Connection>, error: &h2::Error) {
    if error.is_library() && !error.is_io() {
        service.refused(connection, Refused::Malformed);
    }
}

fn begin<S: Service + 'static>(
    shared: &Rc<Shared<S>>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    shared.streams.begin();
    // A task is copied several times.
    let answer = Box::pin(answer::answer(Running(shared.clone()), request, respond));
    tokio::task::spawn_local(answer);
}

/// Says why, and goes: streams under way end with the library's connection.
async fn close(mut library: Library, reason: Reason) {
    library.abrupt_shutdown(reason);
    let closed = poll_fn(|context| library.poll_closed(context));
    tokio::time::timeout(limits::CLOSE_TIMEOUT, closed).await.ok();
}

/// A stream under way.
pub(super) struct Running<S>(pub(super) Rc<Shared<S>>);

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.0.streams.end();
    }
}

impl Streams {
    fn new() -> Self {
        Self {
            active: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            must_end: Cell::new(false),
            waker: Cell::new(None),
        }
    }

    fn begin(&self) {
        self.active.set(self.active.get() + 1);
    }

    fn end(&self) {
        self.active.set(self.active.get().saturating_sub(1));
        if self.active.get() == 0 {
            self.idle_since.set(Instant::now());
            self.wake();
        }
    }

    /// No new streams, please.
    pub(super) fn finish(&self) {
        self.must_end.set(true);
        self.wake();
    }

    /// Since when there is none; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.idle_since.get())
    }

    pub(super) fn must_end(&self) -> bool {
        self.must_end.get()
    }

    /// Wakes `waker` when any of this changes.
    pub(super) fn watch(&self, waker: &Waker) {
        let known = self.waker.take().filter(|it| it.will_wake(waker));
        self.waker.set(Some(known.unwrap_or_else(|| waker.clone())));
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
