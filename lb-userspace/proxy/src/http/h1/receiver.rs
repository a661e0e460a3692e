//! Takes bodies out of what arrives.

use super::{
    Framing,
    chunked::{Decoder, Step},
};
use crate::http::{
    BodyError, Frame,
    wire::{Input, Wire},
};
use std::task::{Context, Poll, ready};

/// The rest of a body.
#[derive(Debug, Default)]
pub(super) enum Receiver {
    #[default]
    Done,
    Length(u64),
    Chunked(Decoder),
    /// Everything until the peer has no more to say.
    Close,
    Failed(BodyError),
}

impl From<Framing> for Receiver {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Decoder::default()),
            Framing::Close => Self::Close,
        }
    }
}

impl Receiver {
    /// Whether all of it was received.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes that are still to be received, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::Close | Self::Failed(_) => None,
        }
    }

    /// The next piece; `None` after the last.
    pub(super) fn poll_frame(
        &mut self,
        wire: &mut Wire,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            match self.next(&mut wire.input) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.is_done() => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => {
                    *self = Self::Failed(error);
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(wire.poll_fill(context)) {
                Ok(0) if matches!(self, Self::Close) => *self = Self::Done,
                Ok(0) | Err(_) => *self = Self::Failed(BodyError::Broken),
                Ok(_) => {}
            }
        }
    }

    /// The next piece that is there already; without one see [`Receiver::is_done`].
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Frame>, BodyError> {
        match self {
            Self::Done => Ok(None),
            Self::Failed(error) => Err(*error),
            _ if input.is_empty() => Ok(None),
            Self::Close => Ok(Some(Frame::Data(input.take(usize::MAX)))),
            Self::Length(left) => {
                let data = input.take(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Some(Frame::Data(data)))
            }
            Self::Chunked(decoder) => {
                let (skipped, step) = decoder.step(input.bytes())?;
                input.skip(skipped);
                match step {
                    Step::More => Ok(None),
                    Step::Data(count) => Ok(Some(Frame::Data(input.take(count)))),
                    Step::End(trailers) => {
                        *self = Self::Done;
                        Ok(trailers.map(Frame::Trailers))
                    }
                }
            }
        }
    }
}
