//! A body that comes over a stream.

use super::map;
use crate::http::{BodyError, BodyStream, Frame};
use h2::RecvStream;
use std::{
    cell::Cell,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// A body that comes over a stream. The sender may send more as frames are taken out.
pub(super) struct Incoming {
    stream: RecvStream,
    is_in_trailers: bool,
    left: Option<u64>,
    received_bytes: Rc<Cell<u64>>,
    after: Option<Box<dyn After>>,
}

/// What lives as long as a body that is read, and learns whether it was read to its end.
pub(super) trait After {
    /// It was.
    fn ended(&mut self);
}

impl Incoming {
    /// The body of `length` bytes, if that is known; `received_bytes` grows with it.
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        received_bytes: Rc<Cell<u64>>,
    ) -> Self {
        Self { stream, is_in_trailers: false, left: length, received_bytes, after: None }
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
        let polled = self.poll_next(context);
        // After trailers a reader may not ask for the end.
        if let Poll::Ready(None | Some(Ok(Frame::Trailers(_)))) = &polled
            && let Some(after) = &mut self.after
        {
            after.ended();
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        self.left
    }
}

/// What the library found wrong is malformed; the rest is the peer's going away.
fn body_error(error: &h2::Error) -> BodyError {
    if error.is_library() && !error.is_io() { BodyError::Malformed } else { BodyError::Broken }
}
