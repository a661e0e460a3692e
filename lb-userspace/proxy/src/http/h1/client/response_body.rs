//! The body of a response, and the way back of its connection.

use super::upload::Background;
use super::{super::receiver::Receiver, Client, ExchangeOptions};
use crate::http::{BodyError, BodyStream, Frame, wire::Timer};
use std::{
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// The body of a response.
pub(super) struct ResponseBody<R> {
    /// The connection, until the body is at its end.
    client: Option<Client>,
    receiver: Receiver,
    upload: Background,
    keeps_alive: bool,
    is_tunnel: bool,
    idle_timeout: Option<Duration>,
    deadline: Option<Instant>,
    timer: Timer,
    release: Option<R>,
}

impl<R: FnOnce(Client)> ResponseBody<R> {
    pub(super) fn new(
        client: Client,
        receiver: Receiver,
        upload: Background,
        keeps_alive: bool,
        options: ExchangeOptions,
        release: R,
    ) -> Self {
        Self {
            client: Some(client),
            receiver,
            upload,
            keeps_alive,
            is_tunnel: false,
            idle_timeout: options.idle_timeout,
            deadline: None,
            timer: Timer::default(),
            release: Some(release),
        }
    }

    /// Everything that comes out of a tunnel.
    pub(super) fn tunnel(client: Client, upload: Background, release: R) -> Self {
        let options = ExchangeOptions::default();
        let mut body = Self::new(client, Receiver::Close, upload, false, options, release);
        body.is_tunnel = true;
        body
    }

    /// Gives the connection back if it can be used again.
    fn finish(&mut self) {
        if self.is_tunnel {
            // The other direction may go on.
            self.upload.detach();
        }
        let Some(client) = self.client.take() else { return };
        let is_clean = {
            let wire = client.wire.borrow();
            wire.input.is_empty() && wire.output.is_empty()
        };
        if self.keeps_alive
            && self.upload.is_done()
            && is_clean
            && let Some(release) = self.release.take()
        {
            release(Client { is_reused: true, ..client });
        }
    }
}

impl<R: FnOnce(Client)> BodyStream for ResponseBody<R> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(client) = &self.client else { return Poll::Ready(None) };
        let polled = self.receiver.poll_frame(&mut client.wire.borrow_mut(), context);
        match &polled {
            Poll::Pending => {
                let Some(timeout) = self.idle_timeout else { return Poll::Pending };
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + timeout);
                ready!(self.timer.poll(deadline, context));
                self.client = None;
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
            Poll::Ready(Some(Err(_))) => self.client = None,
            Poll::Ready(_) if self.receiver.is_done() => self.finish(),
            Poll::Ready(_) => {}
        }
        self.deadline = None;
        polled
    }

    fn length(&self) -> Option<u64> {
        self.receiver.length()
    }
}
