//! Copies of requests whose responses nobody sees.

use super::{Ask, FilterError, is_tunnel};
use crate::http::{Body, BodyError, BodyStream, Frame, Request};
use bytes::{Bytes, BytesMut};
use lb_model::Mirror as Wanted;
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

/// Who gets copies.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    all: Box<[Mirror]>,
    dropped_count: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Mirror {
    upstream: Arc<str>,
    share: (u32, u32),
}

/// Bytes of a body that are copied; of a request with a larger one no copy is sent.
const BODY_BYTES_MAX: usize = 64 * 1_024;

impl Mirrors {
    /// Goes on counting where `previous` stopped.
    pub(super) fn compile(wanted: &[Wanted], previous: Option<&Self>) -> Result<Self, FilterError> {
        let mut all = Vec::new();
        for Wanted { upstream, share: (numerator, denominator) } in wanted {
            if *denominator == 0 || numerator > denominator {
                let share = format!("{numerator}/{denominator}");
                return Err(FilterError::new("mirror", share, "a share is 0 to 1"));
            }
            let Some(upstream) = upstream else { continue };
            let upstream = upstream.as_str().into();
            all.push(Mirror { upstream, share: (*numerator, *denominator) });
        }
        let dropped_count = previous.map(|it| it.dropped_count.clone()).unwrap_or_default();
        Ok(Self { all: all.into(), dropped_count })
    }

    /// Copies that were not sent because the body was too large or broke.
    pub(super) fn dropped_count(&self) -> u64 {
        self.dropped_count.load(Ordering::Relaxed)
    }

    /// Sends copies: at once if the body is there, else when all of it has been read. Tunnels are
    /// not copied.
    pub(super) fn copy<A: Ask>(&self, request: &mut Request, ask: &A) {
        if self.all.is_empty() || is_tunnel(request) {
            return;
        }
        let chosen = self.all.iter().filter(|it| fastrand::u32(..it.share.1) < it.share.0);
        let chosen: Vec<_> = chosen.map(|it| it.upstream.clone()).collect();
        if chosen.is_empty() {
            return;
        }
        let mut copies = Copies {
            ask: ask.clone(),
            request: request.copied(),
            upstreams: chosen,
            dropped_count: self.dropped_count.clone(),
        };
        match mem::take(&mut request.body) {
            Body::Empty => copies.send(&Bytes::new()),
            Body::Bytes(bytes) if bytes.len() <= BODY_BYTES_MAX => {
                copies.send(&bytes);
                request.body = Body::Bytes(bytes);
            }
            body if body.length().is_some_and(|it| it > BODY_BYTES_MAX as u64) => {
                request.body = body;
            }
            body => {
                let tee = Tee { body, copied: BytesMut::new(), copies: Some(copies) };
                request.body = Body::from(Box::new(tee));
            }
        }
    }
}

/// Copies that wait for a body. Those that are dropped before they were sent are counted.
struct Copies<A> {
    ask: A,
    request: Request,
    upstreams: Vec<Arc<str>>,
    dropped_count: Arc<AtomicU64>,
}

impl<A: Ask> Copies<A> {
    fn send(&mut self, body: &Bytes) {
        for upstream in mem::take(&mut self.upstreams) {
            let mut request = self.request.copied();
            request.body = Body::from(body.clone());
            self.ask.spawn(&upstream, request);
        }
    }
}

impl<A> Drop for Copies<A> {
    fn drop(&mut self) {
        self.dropped_count.fetch_add(self.upstreams.len() as u64, Ordering::Relaxed);
    }
}

/// A body that is copied while it is read.
struct Tee<A: Ask> {
    body: Body,
    copied: BytesMut,
    copies: Option<Copies<A>>,
}

impl<A: Ask> Tee<A> {
    fn send(&mut self) {
        if let Some(mut copies) = self.copies.take() {
            copies.send(&mem::take(&mut self.copied).freeze());
        }
    }
}

impl<A: Ask> BodyStream for Tee<A> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.body.poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(Frame::Data(bytes)))) => {
                if self.copied.len() + bytes.len() > BODY_BYTES_MAX {
                    self.copies = None;
                    self.copied = BytesMut::new();
                } else if self.copies.is_some() {
                    self.copied.extend_from_slice(bytes);
                }
                // Who knows the length need not ask for the end.
                if self.body.length() == Some(0) {
                    self.send();
                }
            }
            Poll::Ready(None | Some(Ok(Frame::Trailers(_)))) => self.send(),
            Poll::Ready(Some(Err(_))) => self.copies = None,
        }
        polled
    }

    fn length(&self) -> Option<u64> {
        self.body.length()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{FakeAsk, Pieces, collected, pieces, request},
        *,
    };

    fn mirrors(all: &[(Option<&str>, (u32, u32))]) -> Mirrors {
        let wanted = all.iter().map(|(upstream, share)| Wanted {
            upstream: upstream.map(str::to_owned),
            share: *share,
        });
        Mirrors::compile(&wanted.collect::<Vec<_>>(), None).unwrap()
    }

    /// Whom copies were sent to, and their bodies.
    async fn spawned(ask: &FakeAsk) -> Vec<(String, Vec<u8>)> {
        let all = mem::take(&mut ask.0.borrow_mut().spawned);
        let mut named = Vec::new();
        for (upstream, request) in all {
            assert_eq!(request.target(), b"/a?b=c");
            named.push((upstream, collected(request.body).await.0));
        }
        named
    }

    #[tokio::test]
    async fn every_mirror_gets_head_and_body_and_the_backend_too() {
        let mirrors = mirrors(&[(Some("one"), (1, 1)), (None, (1, 1)), (Some("two"), (9, 9))]);
        for body in [Body::Empty, Body::from(Bytes::from("abc")), pieces(&[b"a", b"", b"bc"])] {
            let (mut request, ask) = (request(), FakeAsk::default());
            request.body = body;
            mirrors.copy(&mut request, &ask);
            let (sent, error) = collected(request.body).await;
            assert_eq!(error, None);
            let expected = ["one", "two"].map(|it| (it.to_owned(), sent.clone()));
            assert_eq!(spawned(&ask).await, expected);
        }
        assert_eq!(mirrors.dropped_count(), 0);
    }

    #[tokio::test]
    async fn copies_of_bodies_too_large_broken_or_not_read_are_dropped_and_counted() {
        let mirrors = mirrors(&[(Some("one"), (1, 1)), (Some("two"), (1, 1))]);
        let large = vec![0; 40 * 1_024];
        let broken = Pieces([Ok(Frame::Data("a".into())), Err(BodyError::Broken)].into());
        let known = Body::from(Bytes::from(vec![0; BODY_BYTES_MAX + 1]));
        let bodies = [pieces(&[&large, &large]), Body::from(Box::new(broken)), known];
        for (index, body) in (1..).zip(bodies) {
            let (mut request, ask) = (request(), FakeAsk::default());
            request.body = body;
            mirrors.copy(&mut request, &ask);
            let (sent, _) = collected(request.body).await;
            assert!(!sent.is_empty(), "the backend gets all that came");
            assert_eq!(spawned(&ask).await, []);
            assert_eq!(mirrors.dropped_count(), 2 * index);
        }
        let (mut request, ask) = (request(), FakeAsk::default());
        request.body = pieces(&[b"a"]);
        mirrors.copy(&mut request, &ask);
        drop(request);
        assert_eq!((spawned(&ask).await.len(), mirrors.dropped_count()), (0, 8));
    }

    #[tokio::test]
    async fn a_share_of_requests_is_copied_and_tunnels_never_are() {
        let (ask, few) = (FakeAsk::default(), mirrors(&[(Some("one"), (1, 4))]));
        for _ in 0..2_000 {
            few.copy(&mut request(), &ask);
        }
        let count = spawned(&ask).await.len();
        assert!((300..=700).contains(&count), "{count}");
        mirrors(&[(Some("one"), (0, 1))]).copy(&mut request(), &ask);
        let mut tunnel = request();
        tunnel.upgrade = Some("websocket".into());
        mirrors(&[(Some("one"), (1, 1))]).copy(&mut tunnel, &ask);
        assert_eq!(spawned(&ask).await, []);
        assert!(Mirrors::compile(&[Wanted { upstream: None, share: (2, 1) }], None).is_err());
        assert!(Mirrors::compile(&[Wanted { upstream: None, share: (0, 0) }], None).is_err());
    }
}
