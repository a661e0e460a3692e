//! Puts bodies into what is to be written.

use super::{Framing, encode};
use crate::http::{
    Body, BodyError, Frame,
    wire::{HasWire, Output},
};
use std::{
    cell::RefCell,
    task::{Context, Poll, ready},
};

/// The rest of a body.
#[derive(Debug)]
pub(super) struct Sender {
    framing: Framing,
    sent_bytes: u64,
    is_ended: bool,
    /// The connection is closed when all of it is written.
    closes: bool,
}

/// Why a body could not be sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It did not come to its end.
    Body(BodyError),
    /// It was longer or shorter than was said.
    Mismatch,
    /// The peer went away.
    Peer,
}

impl Sender {
    /// Sends a body so framed; [`Framing::Close`] is also for tunnels.
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, sent_bytes: 0, is_ended: framing == Framing::None, closes: false }
    }

    /// Whether the connection is closed, or shut down, at once when all of it is written.
    pub(super) fn closing(self, closes: bool) -> Self {
        Self { closes, ..self }
    }

    /// Bytes of the body that were put.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether all of it was put.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Puts and writes what comes until the body is at its end and everything is written.
    pub(super) fn poll_send<W: HasWire>(
        &mut self,
        body: &mut Body,
        owner: &RefCell<W>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            while !self.is_ended && !owner.borrow_mut().wire().output.is_full() {
                // Whoever makes the body may use the same connection: it is not borrowed here.
                let Poll::Ready(frame) = body.poll_frame(context) else { break };
                let frame = frame.transpose().map_err(Failure::Body)?;
                self.put(&mut owner.borrow_mut().wire().output, frame)?;
            }
            let mut owner = owner.borrow_mut();
            let was_full = owner.wire().output.is_full();
            if self.is_ended && self.closes {
                owner.wire().output.close_behind();
            }
            ready!(owner.wire().poll_flush(context)).map_err(|_| Failure::Peer)?;
            if self.is_ended {
                return Poll::Ready(Ok(()));
            }
            if !was_full {
                return Poll::Pending;
            }
        }
    }

    /// Puts one frame, or with `None` the end.
    pub(super) fn put(&mut self, output: &mut Output, frame: Option<Frame>) -> Result<(), Failure> {
        let is_chunked = self.framing == Framing::Chunked;
        match frame {
            Some(Frame::Data(data)) => {
                self.sent_bytes += data.len() as u64;
                if matches!(self.framing, Framing::Length(all) if self.sent_bytes > all) {
                    return Err(Failure::Mismatch);
                }
                if is_chunked && !data.is_empty() {
                    encode::chunk_size(output.text(), data.len());
                    output.put(data, b"\r\n");
                } else {
                    output.put(data, b"");
                }
                // A length that is reached is the end; the frame that says so may come later.
                self.is_ended = self.framing == Framing::Length(self.sent_bytes);
            }
            Some(Frame::Trailers(fields)) => {
                if is_chunked {
                    encode::trailers(output.text(), &fields);
                }
                return self.end();
            }
            None => {
                if is_chunked {
                    output.text().extend_from_slice(encode::LAST_CHUNK);
                }
                return self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.is_ended = true;
        let is_short = matches!(self.framing, Framing::Length(all) if self.sent_bytes < all);
        if is_short { Err(Failure::Mismatch) } else { Ok(()) }
    }
}
