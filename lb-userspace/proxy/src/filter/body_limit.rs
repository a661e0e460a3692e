//! How many bytes a request body may have.

use super::is_tunnel;
use crate::http::{Body, BodyError, BodyStream, Frame, Reason, Request, Response};
use std::task::{Context, Poll};

/// Refuses a request whose body is known to be too large; of others the bytes are counted, and
/// the body ends with [`BodyError::TooLarge`] where they are too many. What a tunnel carries is no
/// request body.
pub(super) fn limit(request: &mut Request, bytes_max: u64) -> Option<Response> {
    if is_tunnel(request) {
        return None;
    }
    match request.body.length() {
        Some(length) if length > bytes_max => Some(Response::refusal(Reason::BodyTooLarge)),
        Some(_) => None,
        None => {
            let body = std::mem::take(&mut request.body);
            request.body = Body::from(Box::new(Limited { body, bytes_left: bytes_max }));
            None
        }
    }
}

struct Limited {
    body: Body,
    bytes_left: u64,
}

impl BodyStream for Limited {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.body.poll_frame(context);
        if let Poll::Ready(Some(Ok(Frame::Data(bytes)))) = &polled {
            let Some(left) = self.bytes_left.checked_sub(bytes.len() as u64) else {
                self.body = Body::Empty;
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            };
            self.bytes_left = left;
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
        super::fixture::{collected, pieces, request},
        *,
    };
    use crate::http::Method;
    use bytes::Bytes;

    #[test]
    fn a_body_known_to_be_too_large_is_refused_at_once() {
        for (length, is_refused) in [(0, false), (10, false), (11, true)] {
            let mut request = request();
            request.body = Body::from(Bytes::from(vec![0; length]));
            let refusal = limit(&mut request, 10);
            assert_eq!(refusal.map(|it| it.status), is_refused.then_some(413), "{length}");
        }
    }

    #[tokio::test]
    async fn a_body_that_turns_out_too_large_ends() {
        for (parts, expected) in [
            (&[&b"12345"[..], b"", b"67890"][..], (&b"1234567890"[..], None)),
            (&[b"12345", b"67890", b"1", b"2"], (b"1234567890", Some(BodyError::TooLarge))),
            (&[b"12345678901"], (b"", Some(BodyError::TooLarge))),
        ] {
            let mut request = request();
            request.body = pieces(parts);
            assert!(limit(&mut request, 10).is_none());
            let (bytes, error) = collected(request.body).await;
            assert_eq!((&*bytes, error), expected);
        }
    }

    #[tokio::test]
    async fn tunnels_are_not_limited() {
        let (mut upgraded, mut connected) = (request(), request());
        upgraded.upgrade = Some("websocket".into());
        connected.method = Method::Connect;
        for mut request in [upgraded, connected] {
            request.body = pieces(&[b"12345", b"67890", b"1"]);
            assert!(limit(&mut request, 1).is_none());
            assert_eq!(collected(request.body).await.1, None);
        }
    }
}
