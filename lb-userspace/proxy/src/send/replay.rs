//! Request bodies that can be sent again: what passes is remembered, up to a limit.

use crate::http::{Body, BodyError, BodyStream, Frame};
use bytes::Bytes;
use std::{
    cell::RefCell,
    mem,
    rc::Rc,
    task::{Context, Poll},
};

/// Bytes that are remembered. A body that is larger is sent once.
const REPLAY_BYTES_MAX: usize = 64 << 10;

/// Pieces that are remembered, so that tiny ones do not cost more than they hold.
const REPLAY_PIECES_MAX: usize = 1_024;

/// A request's body, over all tries.
pub(super) enum Source {
    /// It is there: nothing, or bytes.
    Whole(Bytes),
    /// It comes, and is remembered.
    Remembered(Rc<RefCell<Memory>>),
    /// It comes, and is gone once something of it was taken.
    Once(Body),
}

/// A body that comes and what came of it.
pub(super) struct Memory {
    body: Body,
    pieces: Vec<Bytes>,
    byte_count: usize,
    /// The end, if it came: an error, or what came with it.
    is_over: bool,
    /// More came than is remembered.
    is_lost: bool,
}

/// One try's view.
struct Replay {
    memory: Rc<RefCell<Memory>>,
    next: usize,
}

impl Source {
    /// For a body. `is_remembered` if it may have to be sent again.
    pub(super) fn new(body: Body, is_remembered: bool) -> Self {
        match body {
            Body::Empty => Self::Whole(Bytes::new()),
            Body::Bytes(bytes) => Self::Whole(bytes),
            stream @ Body::Stream(_) => {
                let fits = stream.length().is_none_or(|it| it <= REPLAY_BYTES_MAX as u64);
                if is_remembered && fits {
                    Self::Remembered(Rc::new(RefCell::new(Memory::new(stream))))
                } else {
                    Self::Once(stream)
                }
            }
        }
    }

    /// The body for a try.
    pub(super) fn body(&mut self) -> Body {
        match self {
            Self::Whole(bytes) => Body::from(bytes.clone()),
            Self::Remembered(memory) => {
                Body::Stream(Box::new(Replay { memory: Rc::clone(memory), next: 0 }))
            }
            Self::Once(body) => mem::take(body),
        }
    }

    /// Takes what a failed try left of the body; whether there can be another try.
    pub(super) fn take_back(&mut self, left: Body) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Remembered(memory) => !memory.borrow().is_lost,
            Self::Once(body) => {
                *body = left;
                matches!(body, Body::Stream(_))
            }
        }
    }

    /// Whether there can be another try even when this one has been sent.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Remembered(memory) => !memory.borrow().is_lost,
            Self::Once(_) => false,
        }
    }
}

impl Memory {
    fn new(body: Body) -> Self {
        Self { body, pieces: Vec::new(), byte_count: 0, is_over: false, is_lost: false }
    }

    fn remember(&mut self, bytes: &Bytes) {
        self.byte_count = self.byte_count.saturating_add(bytes.len());
        if self.byte_count > REPLAY_BYTES_MAX || self.pieces.len() >= REPLAY_PIECES_MAX {
            self.is_lost = true;
            self.pieces = Vec::new();
        } else if !self.is_lost {
            self.pieces.push(bytes.clone());
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.body.poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(Frame::Data(bytes)))) => self.remember(bytes),
            Poll::Ready(None) => self.is_over = true,
            // Trailers and errors are not told twice.
            Poll::Ready(Some(_)) => (self.is_over, self.is_lost) = (true, true),
        }
        polled
    }
}

impl BodyStream for Replay {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut memory = self.memory.borrow_mut();
        if let Some(piece) = memory.pieces.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::Data(piece.clone()))));
        }
        let polled = memory.poll_frame(context);
        self.next = memory.pieces.len();
        polled
    }

    fn length(&self) -> Option<u64> {
        let memory = self.memory.borrow();
        let replayed = memory.pieces.iter().skip(self.next).map(|it| it.len() as u64).sum::<u64>();
        memory.body.length().map(|rest| rest + replayed)
    }
}
