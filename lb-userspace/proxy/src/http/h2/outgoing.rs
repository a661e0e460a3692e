//! A body that is sent over a stream.

use super::{limits::SEND_BUFFER_BYTES_MAX, map, meter::Meter};
use crate::http::{Body, BodyError, Fields, Frame};
use bytes::Bytes;
use h2::{Reason, SendStream};
use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Why a body was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The receiver reset the stream, or its connection broke.
    Gone,
    /// The receiver took nothing for too long.
    Stalled,
    /// The body broke.
    Broken(BodyError),
}

/// A body on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) stream: &'a mut SendStream<Bytes>,
    pub(super) meter: &'a Meter,
    /// How long the receiver may take nothing; `None` = for ever.
    pub(super) patience: Option<Duration>,
    /// Bytes sent so far.
    pub(super) sent_bytes: u64,
}

impl Outgoing<'_> {
    /// Sends all of `body`. What cannot be sent to its end is reset, never ended.
    pub(super) async fn send(&mut self, body: &mut Body) -> Result<(), Unsent> {
        let result = self.send_frames(body).await;
        match result {
            Err(Unsent::Broken(_)) => self.stream.send_reset(Reason::INTERNAL_ERROR),
            Err(Unsent::Stalled) => self.stream.send_reset(Reason::CANCEL),
            Ok(()) | Err(Unsent::Gone) => {}
        }
        result
    }

    async fn send_frames(&mut self, body: &mut Body) -> Result<(), Unsent> {
        let mut frame = self.next(body).await?;
        loop {
            match frame {
                None => return self.end(),
                Some(Frame::Trailers(fields)) => return self.trailers(&fields),
                Some(Frame::Data(bytes)) => {
                    // What is there already says whether this is the end.
                    let next = poll_fn(|context| Poll::Ready(body.poll_frame(context))).await;
                    self.data(bytes, matches!(next, Poll::Ready(None))).await?;
                    frame = match next {
                        Poll::Ready(None) => return Ok(()),
                        Poll::Ready(Some(next)) => Some(next.map_err(Unsent::Broken)?),
                        Poll::Pending => self.next(body).await?,
                    };
                }
            }
        }
    }

    /// The body's next frame, unless the receiver goes away first.
    async fn next(&mut self, body: &mut Body) -> Result<Option<Frame>, Unsent> {
        poll_fn(|context| {
            if let Poll::Ready(frame) = body.poll_frame(context) {
                return Poll::Ready(frame.transpose().map_err(Unsent::Broken));
            }
            self.stream.poll_reset(context).map(|_| Err(Unsent::Gone))
        })
        .await
    }

    async fn data(&mut self, mut bytes: Bytes, is_last: bool) -> Result<(), Unsent> {
        while !bytes.is_empty() {
            let capacity = self.capacity(bytes.len().min(SEND_BUFFER_BYTES_MAX)).await?;
            let piece = bytes.split_to(capacity.min(bytes.len()));
            let count = piece.len() as u64;
            let sent = self.stream.send_data(piece, is_last && bytes.is_empty());
            sent.map_err(|_| Unsent::Gone)?;
            self.meter.sent_data();
            self.sent_bytes += count;
        }
        Ok(())
    }

    /// Waits until some of `wanted` bytes may be sent: at least one.
    async fn capacity(&mut self, wanted: usize) -> Result<usize, Unsent> {
        self.stream.reserve_capacity(wanted);
        if self.stream.capacity() > 0 {
            return Ok(self.stream.capacity());
        }
        let patience = self.patience;
        let capacity = poll_fn(|context| self.poll_capacity(context));
        match patience {
            None => capacity.await,
            Some(patience) => {
                let waited = tokio::time::timeout(patience, capacity).await;
                waited.unwrap_or(Err(Unsent::Stalled))
            }
        }
    }

    fn poll_capacity(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Unsent>> {
        loop {
            match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(0)) => {}
                Some(Ok(capacity)) => return Poll::Ready(Ok(capacity)),
                Some(Err(_)) | None => return Poll::Ready(Err(Unsent::Gone)),
            }
        }
    }

    fn end(&mut self) -> Result<(), Unsent> {
        self.stream.send_data(Bytes::new(), true).map_err(|_| Unsent::Gone)
    }

    fn trailers(&mut self, fields: &Fields) -> Result<(), Unsent> {
        self.stream.send_trailers(map::of(fields)).map_err(|_| Unsent::Gone)
    }
}
