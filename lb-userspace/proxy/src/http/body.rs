//! Bodies: nothing, bytes that are there, or frames that come.

use super::Fields;
use bytes::Bytes;
use std::{
    fmt, mem,
    task::{Context, Poll},
};

/// A body that can be taken out frame by frame.
#[derive(Default)]
pub enum Body {
    /// Nothing (any more).
    #[default]
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// Frames that come.
    Stream(Box<dyn BodyStream>),
}

/// A piece of a body.
#[derive(Debug)]
pub enum Frame {
    /// Bytes, at least one.
    Data(Bytes),
    /// Fields after the body; nothing comes after them.
    Trailers(Box<Fields>),
}

/// A body that comes in pieces. Dropping it before its end means that nobody wants the rest: the
/// connection or stream that it comes from is reset, unless its owner can still drain it.
pub trait BodyStream {
    /// The next piece; `None` after the last. After `None` or an error it is not polled again.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>>;

    /// Bytes still to come, if that is known.
    fn length(&self) -> Option<u64>;
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The sender's connection broke, or it reset the stream.
    #[error("the sender went away")]
    Broken,
    /// The sender broke the protocol's rules.
    #[error("malformed")]
    Malformed,
    /// Nothing came for too long.
    #[error("nothing came in time")]
    Timeout,
    /// More came than is allowed.
    #[error("too large")]
    TooLarge,
}

impl Body {
    /// The next piece; `None` after the last, and after an error.
    pub fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::Data(bytes))))
            }
            Self::Stream(stream) => {
                let polled = stream.poll_frame(context);
                if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    *self = Self::Empty;
                }
                polled
            }
        }
    }

    /// Waits for the next piece; `None` after the last, and after an error.
    pub async fn frame(&mut self) -> Option<Result<Frame, BodyError>> {
        std::future::poll_fn(|context| self.poll_frame(context)).await
    }

    /// Bytes still to come, if that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.length(),
        }
    }

    /// Whether nothing comes any more, for sure.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

impl<S: BodyStream + 'static> From<Box<S>> for Body {
    fn from(stream: Box<S>) -> Self {
        Self::Stream(stream)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({:?})", stream.length()),
        }
    }
}
