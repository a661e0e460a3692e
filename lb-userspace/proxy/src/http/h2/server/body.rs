//! A request's body, taken as it comes.

use super::{core::Core, stream::Stream};
use crate::http::{BodyError, BodyStream, Frame, wire::Timer};
use bytes::Bytes;
use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// A request's body, or what comes through its tunnel. The client may send more as it is taken.
pub(super) struct RequestBody {
    core: Rc<RefCell<Core>>,
    stream: Rc<Stream>,
    /// Longest time between two pieces; `None` = for ever.
    idle_timeout: Option<Duration>,
    deadline: Option<Instant>,
    timer: Timer,
    /// Called when somebody wants the body.
    before: Option<Box<dyn FnOnce()>>,
}

impl RequestBody {
    /// Gives up if the next piece takes longer than `idle_timeout`; calls `before` when somebody
    /// wants the body.
    pub(super) fn new(
        core: &Rc<RefCell<Core>>,
        stream: &Rc<Stream>,
        idle_timeout: Option<Duration>,
        before: Option<Box<dyn FnOnce()>>,
    ) -> Self {
        stream.state().holder_count += 1;
        let (core, stream) = (Rc::clone(core), Rc::clone(stream));
        Self { core, stream, idle_timeout, deadline: None, timer: Timer::default(), before }
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        {
            let mut state = self.stream.state();
            let receiving = &mut state.receiving;
            if receiving.bytes.is_empty() {
                if let Some(error) = receiving.broken {
                    return Poll::Ready(Some(Err(error)));
                }
                if let Some(trailers) = receiving.trailers.take() {
                    return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
                }
                if receiving.is_ended {
                    return Poll::Ready(None);
                }
                if !receiving.reader.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
                    receiving.reader = Some(context.waker().clone());
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Some(Ok(Frame::Data(take(&self.core, &self.stream)))))
    }
}

impl BodyStream for RequestBody {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(before) = self.before.take() {
            before();
        }
        let polled = self.poll_next(context);
        if polled.is_ready() {
            self.deadline = None;
        } else if let Some(timeout) = self.idle_timeout {
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + timeout);
            if self.timer.poll(deadline, context).is_ready() {
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        let state = self.stream.state();
        let receiving = &state.receiving;
        let there = receiving.bytes.len() as u64;
        match receiving.left {
            Some(left) => Some(there + left),
            None => (receiving.is_ended && receiving.trailers.is_none()).then_some(there),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let lost = {
            let mut state = self.stream.state();
            state.receiving.is_unwanted = true;
            state.receiving.reader = None;
            std::mem::take(&mut state.receiving.bytes).len()
        };
        // Nothing that uses the connection holds a body, so it is never in use here.
        if let Ok(mut core) = self.core.try_borrow_mut() {
            core.taken(lost);
            core.release(&self.stream);
        }
    }
}

/// Takes what came of a body, and makes room for as much.
pub(super) fn take(core: &RefCell<Core>, stream: &Stream) -> Bytes {
    let mut state = stream.state();
    let bytes = std::mem::take(&mut state.receiving.bytes);
    state.receiving.taken_bytes += bytes.len() as u64;
    core.borrow_mut().taken_of(stream.id, &mut state, bytes.len());
    bytes.into()
}
