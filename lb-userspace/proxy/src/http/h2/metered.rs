//! An endpoint's byte stream, whose frames are counted on the way to the library.

use super::{
    frame::{HEAD_BYTES, Head},
    meter::Meter,
};
use crate::io::Io;
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A byte stream whose incoming frames are counted.
pub(super) struct Metered {
    io: Io,
    meter: Rc<Meter>,
    /// Bytes that belong to no head but to a payload.
    skip: u32,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
}

impl Metered {
    pub(super) fn new(io: Io, meter: Rc<Meter>) -> Self {
        Self { io, meter, skip: 0, head: [0; HEAD_BYTES], head_bytes: 0 }
    }

    /// Counts the frames in `bytes`; how many of the bytes may be looked at.
    fn count(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        loop {
            let skipped = rest.len().min(self.skip as usize);
            rest = rest.get(skipped..).unwrap_or_default();
            self.skip -= u32::try_from(skipped).unwrap_or_default();
            if rest.is_empty() {
                return bytes.len();
            }
            let begin = bytes.len() - rest.len();
            let wanted = rest.len().min(HEAD_BYTES - self.head_bytes);
            let (new, after) = rest.split_at_checked(wanted).unwrap_or_default();
            let place = self.head.get_mut(self.head_bytes..).unwrap_or_default();
            place.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
            self.head_bytes += new.len();
            rest = after;
            if self.head_bytes < HEAD_BYTES {
                return bytes.len();
            }
            self.head_bytes = 0;
            let head = Head::parse(self.head);
            if let Err(reason) = self.meter.frame(head) {
                self.meter.exceed(reason);
                return begin;
            }
            self.skip = head.length;
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.is_exceeded() {
            // The connection's task ends it.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            return Poll::Ready(Ok(()));
        }
        this.meter.read();
        let good = this.count(new);
        buffer.set_filled(before + good);
        if good == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h2::frame::{DATA, HEADERS, SETTINGS};
    use proptest::prelude::*;

    fn metered() -> Metered {
        let (near, _) = tokio::io::duplex(1);
        Metered::new(Io::Memory(near), Rc::new(Meter::of_client()))
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1][..], payload].concat()
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(
            sizes in prop::collection::vec(0_usize..200, 1..20),
            cuts in prop::collection::vec(1_usize..40, 1..80),
        ) {
            let mut bytes = frame(SETTINGS, 0, &[0; 6]);
            for size in &sizes {
                bytes.extend(frame(DATA, 0, &vec![0; *size]));
            }
            let mut metered = metered();
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                prop_assert_eq!(metered.count(piece), piece.len());
                rest = after;
            }
            prop_assert_eq!(metered.meter.frame_count(), sizes.len() as u64 + 1);
        }
    }

    #[test]
    fn nothing_behind_a_bad_frame_gets_through() {
        let mut metered = metered();
        let good = frame(SETTINGS, 0, &[]);
        let bad = frame(SETTINGS, 0, &[0; 5]);
        assert_eq!(metered.count(&[&good[..], &bad, &frame(DATA, 0, &[])].concat()), good.len());
        assert!(metered.meter.is_exceeded());
    }

    #[test]
    fn the_first_frame_is_settings() {
        let mut metered = metered();
        assert_eq!(metered.count(&frame(HEADERS, 4, &[])), 0);
        assert!(metered.meter.is_exceeded());
    }
}
