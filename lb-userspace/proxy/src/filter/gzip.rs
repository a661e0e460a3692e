//! Bodies compressed while they pass (RFC 1952).

use crate::http::{Body, BodyError, BodyStream, Frame};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::{
    io::{self, Write},
    mem,
    task::{Context, Poll},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Streams compressed at once in this process; each takes about 300 KiB. More are passed as they
/// are.
static PLACES: Semaphore = Semaphore::const_new(1_024);

/// Compresses a body. What came is passed on as soon as nothing more is there, so that events
/// arrive one by one; bodies that are there are compressed as a whole. `Err` is the body as it
/// was, if too many are compressed already.
pub(super) fn gzip(body: Body, level: u8) -> Result<Body, Body> {
    gzip_within(&PLACES, body, level)
}

fn gzip_within(places: &'static Semaphore, body: Body, level: u8) -> Result<Body, Body> {
    let level = Compression::new(u32::from(level.clamp(1, 9)));
    match (body, places.try_acquire()) {
        (Body::Empty, _) => Ok(Body::Empty),
        (Body::Bytes(bytes), _) => match at_once(&bytes, level) {
            Ok(compressed) => Ok(Body::from(Bytes::from(compressed))),
            Err(_) => Err(Body::from(bytes)),
        },
        (body @ Body::Stream(_), Ok(place)) => Ok(Body::from(Box::new(Gzip {
            body,
            encoder: Some(GzEncoder::new(Vec::new(), level)),
            is_flushed: true,
            trailers: None,
            _place: place,
        }))),
        (body @ Body::Stream(_), Err(_)) => Err(body),
    }
}

struct Gzip {
    body: Body,
    /// `None` after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    is_flushed: bool,
    trailers: Option<Frame>,
    _place: SemaphorePermit<'static>,
}

/// Compressed bytes that are passed on though more is there.
const PIECE_BYTES: usize = 16 * 1_024;

/// Bytes compressed in one go before others get their turn.
const TURN_BYTES_MAX: usize = 64 * 1_024;

impl BodyStream for Gzip {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut turn_bytes = 0;
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(Ok));
            };
            if encoder.get_ref().len() >= PIECE_BYTES {
                return self.piece();
            }
            if turn_bytes >= TURN_BYTES_MAX {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.body.poll_frame(context) {
                Poll::Ready(Some(Ok(Frame::Data(bytes)))) => {
                    turn_bytes += bytes.len();
                    self.is_flushed = false;
                    if encoder.write_all(&bytes).is_err() {
                        return self.broken(BodyError::Broken);
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.broken(error),
                Poll::Ready(Some(Ok(trailers @ Frame::Trailers(_)))) => {
                    self.trailers = Some(trailers);
                    return self.end();
                }
                Poll::Ready(None) => return self.end(),
                Poll::Pending if self.is_flushed => return Poll::Pending,
                Poll::Pending => {
                    self.is_flushed = true;
                    if encoder.flush().is_err() {
                        return self.broken(BodyError::Broken);
                    }
                    return self.piece();
                }
            }
        }
    }

    fn length(&self) -> Option<u64> {
        None
    }
}

type Polled = Poll<Option<Result<Frame, BodyError>>>;

impl Gzip {
    fn piece(&mut self) -> Polled {
        let bytes = self.encoder.as_mut().map(|it| mem::take(it.get_mut())).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::Data(bytes.into()))))
    }

    fn end(&mut self) -> Polled {
        match self.encoder.take().map(GzEncoder::finish) {
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::Data(bytes.into())))),
            _ => self.broken(BodyError::Broken),
        }
    }

    fn broken(&mut self, error: BodyError) -> Polled {
        self.encoder = None;
        self.body = Body::Empty;
        Poll::Ready(Some(Err(error)))
    }
}

fn at_once(bytes: &[u8], level: Compression) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{Pieces, collected, pieces},
        *,
    };
    use crate::http::Fields;
    use flate2::{Decompress, FlushDecompress, read::GzDecoder};
    use futures_util::FutureExt;
    use proptest::{collection::vec, prelude::*};
    use std::io::Read;

    fn zipped(body: Body, level: u8) -> Body {
        gzip(body, level).unwrap()
    }

    fn unzipped(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut decoder = GzDecoder::new(bytes);
        decoder.read_to_end(&mut all).unwrap();
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_compressed_comes_back_however_it_is_cut(
            parts in vec(vec(any::<u8>(), 0..2_000), 0..20),
            repeats in 1_usize..20,
            level in 0_u8..12,
        ) {
            let parts: Vec<_> = parts.iter().map(|it| it.repeat(repeats)).collect();
            let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (bytes, error) = runtime.block_on(collected(zipped(pieces(&parts), level)));
            prop_assert_eq!(error, None);
            prop_assert_eq!(unzipped(&bytes), parts.concat());
        }
    }

    #[tokio::test]
    async fn an_event_arrives_before_the_next_one_comes() {
        let mut body = zipped(pieces(&[b"data: one\n\n", b"", b"data: two\n\n", b""]), 6);
        let mut inflate = Decompress::new(false);
        for (is_first, expected) in [(true, &b"data: one\n\n"[..]), (false, b"data: two\n\n")] {
            let Some(Ok(Frame::Data(bytes))) = body.frame().await else { unreachable!() };
            // The fixed header of ten bytes (RFC 1952, section 2.3) is not for the inflater.
            let bytes = bytes.slice(if is_first { 10.. } else { 0.. });
            let mut event = Vec::with_capacity(1_024);
            inflate.decompress_vec(&bytes, &mut event, FlushDecompress::Sync).unwrap();
            assert_eq!(event, expected);
        }
    }

    #[tokio::test]
    async fn trailers_follow_and_errors_end_it() {
        let trailers = Frame::Trailers(Box::new(Fields::from_iter([("a", "b")])));
        let frames = [Ok(Frame::Data("abc".into())), Ok(trailers)];
        let mut body = zipped(Body::from(Box::new(Pieces(frames.into()))), 6);
        let Some(Ok(Frame::Data(bytes))) = body.frame().await else { unreachable!() };
        assert_eq!(unzipped(&bytes), b"abc");
        assert!(matches!(body.frame().await, Some(Ok(Frame::Trailers(_)))));
        assert!(body.frame().await.is_none());
        let frames = [Ok(Frame::Data("abc".into())), Err(BodyError::Broken)];
        let body = zipped(Body::from(Box::new(Pieces(frames.into()))), 6);
        assert_eq!(collected(body).await.1, Some(BodyError::Broken));
    }

    #[test]
    fn a_body_that_is_there_keeps_a_known_length() {
        let body = zipped(Body::from(Bytes::from("abc")), 6);
        assert!(body.length().is_some());
        let (bytes, _) = collected(body).now_or_never().unwrap();
        assert_eq!(unzipped(&bytes), b"abc");
    }

    #[tokio::test]
    async fn when_too_many_are_compressed_others_pass_as_they_are() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let first = gzip_within(&ONE, pieces(&[b"abc"]), 6).unwrap();
        let other = gzip_within(&ONE, pieces(&[b"abc"]), 6).unwrap_err();
        assert_eq!(collected(other).await.0, b"abc");
        drop(first);
        assert!(gzip_within(&ONE, pieces(&[b"abc"]), 6).is_ok());
    }
}
