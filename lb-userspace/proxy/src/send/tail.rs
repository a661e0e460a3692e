//! A response's body on its way to the client: holds what the request holds until it ends, and
//! watches the time.

use super::{Lease, clock::after, pool::Stream};
use crate::http::{Body, BodyError, BodyStream, Frame};
use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A response's body.
pub(super) struct Tail {
    body: Body,
    /// Given up when the body ends.
    held: Option<(Lease, Option<Stream>)>,
    limits: Limits,
    /// Set only while nothing comes.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// How long a body may take.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// It ends by then.
    pub(super) deadline: Option<Instant>,
    /// Between two pieces, and when the last one came, in either direction.
    pub(super) idle: Option<(Duration, Rc<Cell<Instant>>)>,
}

/// What a client sends through a tunnel: notes when something came.
pub(super) struct Watched {
    body: Body,
    moved: Rc<Cell<Instant>>,
}

impl Tail {
    /// `body` with what its request holds. Nothing is held if all of it is there.
    pub(super) fn wrap(body: Body, lease: Lease, stream: Option<Stream>, limits: Limits) -> Body {
        match body {
            stream_body @ Body::Stream(_) => Body::Stream(Box::new(Self {
                body: stream_body,
                held: Some((lease, stream)),
                limits,
                alarm: None,
            })),
            there => there,
        }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(mut due) = self.limits.due() else { return false };
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.as_mut().poll(context).is_pending() {
                return false;
            }
            // The alarm was set when it was last polled in vain; something may have come since.
            due = self.limits.due().unwrap_or(due);
            if due <= Instant::now() {
                return true;
            }
            alarm.as_mut().reset(due);
        }
    }
}

impl Limits {
    /// Notes that something came.
    fn moved(&self) {
        if let Some((_, moved)) = &self.idle {
            moved.set(Instant::now());
        }
    }

    fn due(&self) -> Option<Instant> {
        let idle = self.idle.as_ref().map(|(length, moved)| after(moved.get(), *length));
        match (idle, self.deadline) {
            (Some(idle), Some(deadline)) => Some(idle.min(deadline)),
            (idle, deadline) => idle.or(deadline),
        }
    }
}

impl BodyStream for Tail {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let is_over = self.limits.deadline.is_some_and(|it| it <= Instant::now());
        let polled = if is_over { Poll::Pending } else { self.body.poll_frame(context) };
        match &polled {
            Poll::Ready(Some(Ok(_))) => self.limits.moved(),
            Poll::Ready(Some(Err(_))) => {
                if let Some((lease, _)) = self.held.take() {
                    lease.failed();
                }
            }
            Poll::Ready(None) => self.held = None,
            Poll::Pending if self.is_late(context) => {
                self.body = Body::Empty;
                self.held = None;
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        self.body.length()
    }
}

impl Watched {
    /// `body`, noting in `moved` when something came.
    pub(super) fn wrap(body: Body, moved: &Rc<Cell<Instant>>) -> Body {
        match body {
            Body::Stream(_) => Body::Stream(Box::new(Self { body, moved: Rc::clone(moved) })),
            there => there,
        }
    }
}

impl BodyStream for Watched {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.body.poll_frame(context);
        if polled.is_ready() {
            self.moved.set(Instant::now());
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        self.body.length()
    }
}
