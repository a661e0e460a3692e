//! A client's HTTP/2 connection (RFC 9113): one task that reads and writes its frames, and one for
//! each stream. Frames are read where they arrived; a request's fields are unpacked straight into
//! [`Request`](crate::http::Request), a response's straight into the buffer that is written. What all
//! streams have to say goes with one write.

mod answer;
mod body;
mod clock;
mod control;
mod core;
mod farewell;
mod head;
mod receive;
mod stream;

use self::core::Core;
use super::limits::CLOSE_TIMEOUT;
use crate::{
    connection::Connection,
    drain::Drain,
    http::{Reason as Refused, Scheme, Service, wire::Wire},
    io::Io,
};
use answer::{Answering, answer, refuse};
use clock::{Clock, Event};
use farewell::Leaving;
use h2::Reason;
use lb_model::HttpOptions;
use receive::Begun;
use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

/// What a connection's task and its streams share.
struct Shared<S> {
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    core: Rc<RefCell<Core>>,
}

/// How a connection ends.
enum End {
    /// Nobody is there, or nothing is left to say.
    Silent,
    /// The client is told why.
    Told(Reason),
}

/// A connection's task.
struct Server<S> {
    shared: Rc<Shared<S>>,
    clock: Clock,
    request_count: u32,
}

/// Speaks HTTP/2 with a client until either has had enough. Must run on a `LocalSet`: every
/// stream becomes a task of it. Dropped, it takes its streams along.
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
    let core = Rc::new(RefCell::new(Core::new(wire, Arc::clone(&options))));
    let shared = Rc::new(Shared { connection, service, options, core });
    let clock = Clock::new();
    let mut server = Server { shared, clock, request_count: 0 };
    let end = {
        let mut watched = drain.clone();
        let mut drained = pin!(watched.started());
        let mut is_watched = false;
        poll_fn(|context| {
            if drain.has_started(drained.as_mut(), &mut is_watched, context) {
                server.shared.core.borrow_mut().leave();
            }
            server.poll(context)
        })
        .await
    };
    server.close(end).await;
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        if let Ok(mut core) = self.shared.core.try_borrow_mut() {
            core.end();
        }
    }
}

impl<S: Service + 'static> Server<S> {
    /// Reads, writes and looks at the clock until there is nothing to do.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let core = Rc::clone(&self.shared.core);
        let mut core = core.borrow_mut();
        core.remember(context.waker());
        loop {
            if let Some(end) = self.read(&mut core, context) {
                return Poll::Ready(end);
            }
            while let Poll::Ready(event) = self.clock.poll_event(context, &mut core) {
                match event {
                    Event::Unused => core.leave(),
                    Event::Told => core.ask_to_leave(),
                    Event::Slow => {
                        self.refused(Refused::HeaderTimeout);
                        return Poll::Ready(End::Told(Reason::ENHANCE_YOUR_CALM));
                    }
                    Event::Gone => return Poll::Ready(End::Told(Reason::NO_ERROR)),
                }
            }
            core.pump();
            let was_full = core.is_full();
            match core.wire.poll_flush(context) {
                Poll::Ready(Err(_)) => return Poll::Ready(End::Silent),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
            }
            if matches!(core.leaving, Leaving::Final(_)) && core.stream_count() == 0 {
                return Poll::Ready(End::Silent);
            }
            // What had to wait for room has it now.
            if !was_full && !core.pump() && core.wire.output.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Reads all that is there.
    fn read(&mut self, core: &mut Core, context: &mut Context<'_>) -> Option<End> {
        loop {
            let mut begun = |it| self.begin(it);
            if let Err(reason) = core.receive(&mut begun) {
                self.refused(Refused::Malformed);
                return Some(End::Told(reason));
            }
            if self.shared.options.requests_max.is_some_and(|it| self.request_count >= it) {
                core.leave();
            }
            if core.is_full() {
                return None;
            }
            match core.wire.poll_fill(context) {
                Poll::Ready(Ok(0) | Err(_)) => return Some(End::Silent),
                Poll::Ready(Ok(_)) => core.meter.read(),
                Poll::Pending => return None,
            }
        }
    }

    fn begin(&mut self, begun: Begun) {
        let shared = Rc::clone(&self.shared);
        // A task is copied several times: what it runs is behind a pointer.
        match begun {
            Begun::Request(stream, received) => {
                self.request_count = self.request_count.saturating_add(1);
                let is_secure = shared.connection.tls.is_some();
                let received = received.over(if is_secure { Scheme::Https } else { Scheme::Http });
                let answer = Box::pin(answer(Answering { shared, stream }, received));
                tokio::task::spawn_local(answer);
            }
            Begun::Refused { stream, reason, is_head } => {
                self.request_count = self.request_count.saturating_add(1);
                self.refused(reason);
                let refusal = refuse(Answering { shared, stream }, reason, is_head);
                tokio::task::spawn_local(Box::pin(refusal));
            }
            Begun::Reset(reason) => self.refused(reason),
        }
    }

    fn refused(&self, reason: Refused) {
        self.shared.service.refused(&self.shared.connection, reason);
    }

    /// Says why, and goes: streams under way end.
    async fn close(self, end: End) {
        let core = Rc::clone(&self.shared.core);
        {
            let mut core = core.borrow_mut();
            core.end();
            if let End::Told(reason) = end {
                let last_stream = core.last_stream;
                super::frame::goaway(core.wire.output.text(), last_stream, reason);
            }
        }
        let closed = poll_fn(|context| {
            let mut core = core.borrow_mut();
            std::task::ready!(core.wire.poll_flush(context))?;
            core.wire.poll_shutdown(context)
        });
        tokio::time::timeout(CLOSE_TIMEOUT, closed).await.ok();
    }
}
