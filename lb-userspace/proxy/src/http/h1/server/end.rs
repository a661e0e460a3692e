//! Ends: of a body that nobody wants, of tunnels, and of connections.

use super::{
    super::{encode, receiver::Receiver, sender::Sender},
    Server,
    answer::UNREAD_BYTES_MAX,
};
use crate::http::{Frame, Reason, Response, Service, Version};
use std::{
    future::poll_fn,
    mem,
    rc::Rc,
    task::{Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// What a client may still send after it was told that the connection ends: it is read, so that the
/// last response is not lost to a reset (RFC 9112, section 9.6).
const LINGER_BYTES_MAX: usize = 512 * 1_024;
const LINGER_MAX: Duration = Duration::from_secs(2);

impl<S: Service + 'static> Server<S> {
    /// Answers what could not be read as a request, and ends the connection.
    pub(super) async fn refuse(&mut self, reason: Reason) {
        self.service.refused(&self.connection, reason);
        let mut response = Response::refusal(reason);
        let mut body = mem::take(&mut response.body);
        let framing = encode::framing_for(&body, Version::Http11);
        let line = encode::ResponseLine {
            status: response.status,
            version: Version::Http11,
            framing,
            length_told: None,
            closes: true,
            upgrade: None,
        };
        encode::response(self.shared.borrow_mut().wire.output.text(), &line, &response.fields);
        self.shared.borrow_mut().begin(Receiver::Done, false);
        if self.send(&mut Sender::new(framing), &mut body).await.is_ok() {
            self.linger().await;
        }
    }

    /// Ends the connection after a response.
    pub(super) async fn end(&mut self) {
        let is_clean = {
            let shared = self.shared.borrow();
            shared.receiver.is_done() && shared.wire.input.is_empty()
        };
        if !is_clean {
            self.linger().await;
        } else if !self.ends_when_closed() {
            self.shut().await;
        }
    }

    /// Whether closing the connection, which comes next, says all that there is to say.
    pub(super) fn ends_when_closed(&self) -> bool {
        // A body that somebody still holds has its part in the connection.
        Rc::strong_count(&self.shared) == 1 && self.shared.borrow().wire.is_plain()
    }

    /// Tells the client that nothing more comes.
    pub(super) async fn shut(&mut self) {
        let deadline = Instant::now() + LINGER_MAX;
        poll_fn(|context| {
            let shut = self.shared.borrow_mut().wire.poll_shutdown(context);
            if shut.is_ready() { Poll::Ready(()) } else { self.timer.poll(deadline, context) }
        })
        .await;
    }

    /// Tells the client that nothing more comes, and reads on for a while.
    async fn linger(&mut self) {
        self.shut().await;
        let deadline = Instant::now() + LINGER_MAX;
        let mut left = LINGER_BYTES_MAX;
        poll_fn(|context| {
            let mut shared = self.shared.borrow_mut();
            loop {
                let there = shared.wire.input.bytes().len();
                left = left.saturating_sub(there);
                shared.wire.input.skip(there);
                if left == 0 {
                    return Poll::Ready(());
                }
                match shared.wire.poll_fill(context) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return self.timer.poll(deadline, context),
                }
            }
        })
        .await;
    }

    /// Whether the rest of the request's body can be thrown away at little cost.
    pub(super) fn is_drainable(&self) -> bool {
        let shared = self.shared.borrow();
        match &shared.receiver {
            Receiver::Done => true,
            // A client that was not invited may send the body or not: nobody can tell.
            _ if shared.owes_continue => false,
            Receiver::Length(left) => *left <= UNREAD_BYTES_MAX,
            Receiver::Chunked(_) => true,
            Receiver::Close | Receiver::Failed(_) => false,
        }
    }

    /// Throws the rest of the request's body away; whether its end was reached.
    pub(super) async fn drain_body(&mut self) -> bool {
        let is_done = {
            let mut shared = self.shared.borrow_mut();
            shared.dismiss();
            shared.receiver.is_done()
        };
        if is_done {
            return true;
        }
        let deadline = Instant::now() + self.options.body_timeout;
        let mut left = UNREAD_BYTES_MAX;
        poll_fn(|context| {
            let mut shared = self.shared.borrow_mut();
            let shared = &mut *shared;
            loop {
                if shared.receiver.is_done() {
                    return Poll::Ready(true);
                }
                match shared.receiver.poll_frame(&mut shared.wire, context) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) if data.len() as u64 <= left => {
                        left -= data.len() as u64;
                    }
                    Poll::Ready(Some(Ok(Frame::Trailers(_))) | None) => {}
                    Poll::Ready(Some(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        ready!(self.timer.poll(deadline, context));
                        return Poll::Ready(false);
                    }
                }
            }
        })
        .await
    }

    /// Waits until the client has no more to say through a tunnel whose other direction is closed,
    /// or says nothing for too long.
    pub(super) async fn wait_for_end(&mut self) {
        self.shut().await;
        let mut progress = (0, Instant::now());
        poll_fn(|context| {
            let mut shared = self.shared.borrow_mut();
            shared.remember(context.waker());
            if shared.is_gone || !matches!(shared.receiver, Receiver::Close) {
                return Poll::Ready(());
            }
            if progress.0 != shared.received_bytes {
                progress = (shared.received_bytes, Instant::now());
            }
            self.timer.poll(progress.1 + self.options.body_timeout, context)
        })
        .await;
    }
}
