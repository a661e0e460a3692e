//! Bytes that arrived. A connection that waits has no buffer: it takes one from its thread's pool
//! when there is something to read, and gives it back when all of it was used.

use crate::io::Io;
use bytes::{Buf, Bytes, BytesMut};
use std::{
    cell::RefCell,
    io, mem,
    pin::pin,
    task::{Context, Poll},
};
use tokio::io::AsyncReadExt;

/// Bytes read at once at most, unless a buffer is larger already.
const READ_BYTES: usize = 64 * 1_024;
/// Room for a read at least.
const READ_BYTES_MIN: usize = 4 * 1_024;
/// Pieces of this size leave with their buffer; smaller ones are copied, and the buffer stays.
const COPY_BYTES_MAX: usize = 16 * 1_024;
/// Up to so many bytes that nothing follows are kept in a buffer of their size.
const KEPT_BYTES_MAX: usize = 4 * 1_024;
/// Buffers kept by a thread.
const POOL_MAX: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that arrived.
#[derive(Default)]
pub(in crate::http) struct Input {
    bytes: BytesMut,
}

impl Input {
    pub(in crate::http) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets bytes at the begin.
    pub(in crate::http) fn skip(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
        self.tidy();
    }

    /// Takes bytes from the begin.
    pub(in crate::http) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.bytes.len());
        let taken = if count < COPY_BYTES_MAX {
            let taken = Bytes::copy_from_slice(self.bytes.get(..count).unwrap_or_default());
            self.bytes.advance(count);
            taken
        } else {
            self.bytes.split_to(count).freeze()
        };
        self.tidy();
        taken
    }

    /// Reads more; 0 = the peer will send nothing more.
    pub(in crate::http) fn poll_fill(
        &mut self,
        io: &mut Io,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if io.poll_readable(context)?.is_pending() {
            self.shrink();
            return Poll::Pending;
        }
        let has_room = self.bytes.capacity() - self.bytes.len() >= READ_BYTES_MIN;
        let mut buffer = if has_room { mem::take(&mut self.bytes) } else { self.larger() };
        let polled = pin!(io.read_buf(&mut buffer)).poll(context);
        self.bytes = buffer;
        if polled.is_pending() {
            self.shrink();
        }
        self.tidy();
        polled
    }

    /// Half a head that a client sends slowly must not hold a whole buffer.
    fn shrink(&mut self) {
        let is_short = (1..=KEPT_BYTES_MAX).contains(&self.bytes.len());
        if is_short && self.bytes.capacity() > KEPT_BYTES_MAX {
            let short = BytesMut::from(self.bytes.as_ref());
            give(mem::replace(&mut self.bytes, short));
        }
    }

    /// What is there, with room for more.
    fn larger(&mut self) -> BytesMut {
        let mut bytes = mem::take(&mut self.bytes);
        if bytes.len() > KEPT_BYTES_MAX {
            bytes.reserve(READ_BYTES);
            return bytes;
        }
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let mut buffer = pooled.unwrap_or_else(|| BytesMut::with_capacity(READ_BYTES));
        buffer.extend_from_slice(&bytes);
        buffer
    }

    /// Gives the buffer back if it is empty.
    fn tidy(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            give(mem::take(&mut self.bytes));
        }
    }
}

/// Puts a buffer into the pool, if it is one that the pool has, and nobody uses a part of it.
fn give(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(READ_BYTES) {
        POOL.with_borrow_mut(|pool| {
            if pool.len() < POOL_MAX {
                pool.push(buffer);
            }
        });
    }
}
