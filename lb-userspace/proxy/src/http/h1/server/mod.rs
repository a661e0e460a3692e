//! Serves clients.

mod answer;
mod end;
mod shared;

use super::request::{Limits, RequestHead, RequestReader};
use crate::{
    connection::Connection,
    drain::{Drain, IDLE_GRACE},
    http::{
        Informational, Reason, Service,
        wire::{Timer, Wire},
    },
    io::Io,
    turn,
};
use lb_model::HttpOptions;
use shared::Shared;
use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// What happens to the connection after a response.
enum Next {
    /// It takes another request.
    Request,
    /// It ends, but what was written must arrive.
    End,
    /// It ends so that the client cannot take what it got for complete.
    Abort,
    /// The client went away.
    Gone,
}

/// A connection and who answers its requests.
struct Server<S> {
    shared: Rc<RefCell<Shared>>,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    drain: Drain,
    early: Informational,
    timer: Timer,
    /// The head of the request that is read or answered.
    head: RequestHead,
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        // A body that somebody still holds must not keep the connection open.
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            shared.dismiss();
        }
    }
}

/// Serves the requests of a connection one after another until it ends. Informational responses
/// are written at once; when draining begins, a connection ends with the next response, an idle one
/// after [`IDLE_GRACE`]. Dropping the future ends the connection.
pub async fn serve<S: Service + 'static>(
    io: Io,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    drain: Drain,
) {
    serve_on(Wire::new(io), connection, service, options, drain).await;
}

/// The same where something may have been read already.
pub(in crate::http) async fn serve_on<S: Service + 'static>(
    wire: Wire,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    drain: Drain,
) {
    let shared = Rc::new(RefCell::new(Shared::new(wire)));
    let early = shared::early(&shared);
    let timer = Timer::default();
    let head = RequestHead::default();
    let mut server = Server { shared, connection, service, options, drain, early, timer, head };
    server.run().await;
}

impl<S: Service + 'static> Server<S> {
    async fn run(&mut self) {
        let mut drain = self.drain.clone();
        let mut drained = pin!(drain.started());
        let mut is_watched = false;
        let mut reader = RequestReader::default();
        let mut requests = 0_u32;
        loop {
            let mut wait = Wait::new(requests == 0);
            let head = poll_fn(|context| {
                let head = self.poll_head(&mut reader, &mut wait, context);
                if head.is_pending() && wait.first_byte.is_none() && wait.end.is_none() {
                    let drain = &self.drain;
                    if drain.has_started(drained.as_mut(), &mut is_watched, context) {
                        wait.end = Some(Instant::now() + IDLE_GRACE);
                        return self.poll_head(&mut reader, &mut wait, context);
                    }
                }
                head
            });
            match head.await {
                Ok(true) => {}
                Ok(false) if self.ends_when_closed() => return,
                Ok(false) => return self.shut().await,
                Err(reason) => return self.refuse(reason).await,
            }
            requests = requests.saturating_add(1);
            let is_last = self.options.requests_max.is_some_and(|max| requests >= max);
            match self.answer(is_last).await {
                Next::Request => {}
                Next::End => return self.end().await,
                Next::Abort => return self.shared.borrow().wire.abort(),
                Next::Gone => return,
            }
        }
    }

    /// Reads the next request's head; `false` if the connection ends without one.
    fn poll_head(
        &mut self,
        reader: &mut RequestReader,
        wait: &mut Wait,
        context: &mut Context<'_>,
    ) -> Poll<Result<bool, Reason>> {
        let limits = Limits {
            bytes_max: self.options.header_bytes_max as usize,
            fields_max: usize::from(self.options.header_fields_max),
        };
        let mut shared = self.shared.borrow_mut();
        shared.remember(context.waker());
        loop {
            let input = &mut shared.wire.input;
            if !input.is_empty() {
                if let Some(length) = reader.next(input.bytes(), limits, &mut self.head)? {
                    input.skip(length);
                    return Poll::Ready(Ok(true));
                }
                wait.first_byte.get_or_insert_with(turn::now);
            }
            match shared.wire.poll_fill(context) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
        }
        let since = *wait.since.get_or_insert_with(turn::now);
        let deadline = match wait.first_byte {
            Some(first) => first + self.options.header_timeout,
            None if wait.is_first => wait.end_at(since, self.options.header_timeout),
            None => wait.end_at(since, self.options.keep_alive_timeout),
        };
        ready!(self.timer.poll(deadline, context));
        let has_begun = wait.first_byte.is_some();
        Poll::Ready(if has_begun { Err(Reason::HeaderTimeout) } else { Ok(false) })
    }
}

/// Waiting for a request.
struct Wait {
    /// When it was first looked for in vain.
    since: Option<Instant>,
    is_first: bool,
    first_byte: Option<Instant>,
    /// When it ends at the latest, since draining has begun.
    end: Option<Instant>,
}

impl Wait {
    fn new(is_first: bool) -> Self {
        Self { since: None, is_first, first_byte: None, end: None }
    }

    /// When it ends if nothing comes.
    fn end_at(&self, since: Instant, timeout: Duration) -> Instant {
        let usual = since + timeout;
        self.end.map_or(usual, |end| end.min(usual))
    }
}
