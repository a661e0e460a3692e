//! A body that comes over a stream.

use super::map;
use crate::http::{BodyError, BodyStream, Frame};
use h2::RecvStream;
use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// A body that comes over a stream. The sender may send more as frames are taken out.
pub(super) struct Incoming {
    stream: RecvStream,
    is_in_trailers: bool,
    left: Option<u64>,
    received_bytes: Rc<Cell<u64>>,
    patience: Option<Patience>,
    before: Option<Box<dyn FnOnce()>>,
    after: Option<Box<dyn After>>,
}

/// What lives as long as a body that is read, and learns whether it was read to its end.
pub(super) trait After {
    /// It was.
    fn ended(&mut self);
}

/// How long the next frame may take.
struct Patience {
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Incoming {
    /// The body of `length` bytes, if that is known; `received_bytes` grows with it.
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        received_bytes: Rc<Cell<u64>>,
    ) -> Self {
        Self {
            stream,
            is_in_trailers: false,
            left: length,
            received_bytes,
            patience: None,
            before: None,
            after: None,
        }
    }

    /// Gives up if the next frame takes longer.
    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.patience = Some(Patience { timeout, timer: None, is_waiting: false });
        self
    }

    /// Calls `before` when somebody wants the body.
    pub(super) fn first(mut self, before: impl FnOnce() + 'static) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    /// Keeps `after` as long as the body.
    pub(super) fn keeping(mut self, after: impl After + 'static) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        while !self.is_in_trailers {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let count = bytes.len();
                    // Fails only if the stream is over, and that will show.
                    self.stream.flow_control().release_capacity(count).ok();
                    let count = count as u64;
                    self.left = self.left.map(|it| it.saturating_sub(count));
                    self.received_bytes.set(self.received_bytes.get() + count);
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(body_error(&error)))),
                None => self.is_in_trailers = true,
            }
        }
        match ready!(self.stream.poll_trailers(context)) {
            Ok(Some(map)) => {
                let trailers = map::trailers(&map);
                let is_empty = trailers.is_empty();
                Poll::Ready((!is_empty).then(|| Ok(Frame::Trailers(Box::new(trailers)))))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(body_error(&error)))),
        }
    }
}

impl BodyStream for Incoming {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(before) = self.before.take() {
            before();
        }
        let polled = self.poll_next(context);
        match &polled {
            Poll::Pending => {
                let patience = self.patience.as_mut();
                if patience.is_some_and(|it| it.poll_over(context).is_ready()) {
                    return Poll::Ready(Some(Err(BodyError::Timeout)));
                }
            }
            Poll::Ready(frame) => {
                if let Some(patience) = &mut self.patience {
                    patience.is_waiting = false;
                }
                // After trailers a reader may not ask for the end.
                if let (None | Some(Ok(Frame::Trailers(_))), Some(after)) = (frame, &mut self.after)
                {
                    after.ended();
                }
            }
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        self.left
    }
}

impl Patience {
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !self.is_waiting {
            self.is_waiting = true;
            timer.as_mut().reset(Instant::now() + timeout);
        }
        timer.as_mut().poll(context)
    }
}

/// What the library found wrong is malformed; the rest is the peer's going away.
fn body_error(error: &h2::Error) -> BodyError {
    if error.is_library() && !error.is_io() { BodyError::Malformed } else { BodyError::Broken }
}
