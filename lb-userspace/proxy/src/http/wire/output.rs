//! Bytes to write: text (heads, small pieces), and behind it at most one piece that is too large
//! to copy.

use crate::io::Io;
use bytes::{Buf, Bytes};
use std::{
    cell::RefCell,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied behind the text: cheaper than a second slice.
const COPY_BYTES_MAX: usize = 4 * 1_024;
/// Text beyond this is written before more is added.
const TEXT_BYTES_MAX: usize = 16 * 1_024;
/// Buffers kept by a thread, and their largest size.
const POOL_MAX: usize = 16;
const POOLED_BYTES_MAX: usize = 64 * 1_024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes to write.
#[derive(Default)]
pub(in crate::http) struct Output {
    text: Vec<u8>,
    data: Bytes,
    tail: &'static [u8],
    sent_bytes: usize,
    written_bytes: u64,
    is_last: bool,
}

impl Output {
    /// Text to add to. Not to be asked for while [`Output::is_full`].
    pub(in crate::http) fn text(&mut self) -> &mut Vec<u8> {
        if self.text.capacity() == 0 {
            self.text = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        &mut self.text
    }

    /// Adds a piece and what comes after it. Not to be called while [`Output::is_full`].
    pub(in crate::http) fn put(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() <= COPY_BYTES_MAX {
            let text = self.text();
            text.extend_from_slice(&data);
            text.extend_from_slice(tail);
        } else {
            (self.data, self.tail) = (data, tail);
        }
    }

    /// Whether it must be written before more is added.
    pub(in crate::http) fn is_full(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty() || self.text.len() > TEXT_BYTES_MAX
    }

    /// Bytes of text that wait, and of those written before them: the buffer is only emptied as a whole.
    pub(in crate::http) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.data.is_empty() && self.tail.is_empty()
    }

    /// What is there now is the last: the connection ends as soon as it is written.
    pub(in crate::http) fn close_behind(&mut self) {
        self.is_last = true;
    }

    /// Bytes written so far, of everything.
    pub(in crate::http) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Writes until nothing is left.
    pub(in crate::http) fn poll_flush(
        &mut self,
        io: &mut Io,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.is_empty() {
            let text = self.text.get(self.sent_bytes..).unwrap_or_default();
            let written = if !self.data.is_empty() || !self.tail.is_empty() {
                let slices = [text, &self.data, self.tail].map(IoSlice::new);
                let slices = slices.get(usize::from(text.is_empty())..).unwrap_or_default();
                ready!(Pin::new(&mut *io).poll_write_vectored(context, slices))?
            } else if self.is_last {
                ready!(io.poll_write_last(context, text))?
            } else {
                ready!(Pin::new(&mut *io).poll_write(context, text))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(io).poll_flush(context)
    }

    fn advance(&mut self, written: usize) {
        self.written_bytes += written as u64;
        let of_text = written.min(self.text.len() - self.sent_bytes);
        self.sent_bytes += of_text;
        let of_data = (written - of_text).min(self.data.len());
        self.data.advance(of_data);
        self.tail = self.tail.get(written - of_text - of_data..).unwrap_or_default();
        if self.sent_bytes == self.text.len() {
            self.sent_bytes = 0;
            let mut text = mem::take(&mut self.text);
            text.clear();
            if text.capacity() > 0 && text.capacity() <= POOLED_BYTES_MAX {
                POOL.with_borrow_mut(|pool| {
                    if pool.len() < POOL_MAX {
                        pool.push(text);
                    }
                });
            }
        }
        if self.data.is_empty() {
            // The allocation goes with the last byte.
            self.data = Bytes::new();
        }
    }
}
