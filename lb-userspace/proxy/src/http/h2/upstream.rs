//! One request to an endpoint: its stream, its body in the background, its response.

use super::{
    client::Shared,
    incoming::{After, Incoming},
    map,
    outgoing::Outgoing,
};
use crate::http::{
    Body, Informational, Known, Method, Reason, Request, Response, guard, websocket,
};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    ext::Protocol,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri};
use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::task::JoinHandle;

/// Informational responses before the final one that an endpoint may send.
const EARLY_MAX: u32 = 100;

/// Why there is no response.
pub(super) enum Failed {
    /// The library tells.
    Library(h2::Error),
    /// The request cannot be said, or the response is none.
    Invalid(Reason),
}

/// A stream under way: counted, and its request's body sent no longer than it lives.
pub(super) struct Exchanged {
    shared: Rc<Shared>,
    sending: Option<JoinHandle<()>>,
    /// The request's body may outlive the response's.
    is_tunnel: bool,
}

impl Exchanged {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        shared.active.set(shared.active.get() + 1);
        Self { shared, sending: None, is_tunnel: false }
    }

    /// Sends `body`: what is there and may be sent at once, the rest in the background.
    fn send(&mut self, mut stream: SendStream<Bytes>, mut body: Body) {
        let meter = self.shared.meter.clone();
        let mut sending = Box::pin(async move {
            let mut outgoing =
                Outgoing { stream: &mut stream, meter: &meter, patience: None, sent_bytes: 0 };
            // What becomes of it shows in the response.
            outgoing.send(&mut body).await.ok();
        });
        // Most bodies are short, and all there: a task would cost more than they do. One that has to
        // wait is polled again as a task, which is the one to be woken.
        if sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.sending = Some(tokio::task::spawn_local(sending));
        }
    }
}

impl After for Exchanged {
    fn ended(&mut self) {
        if self.is_tunnel {
            // The other direction goes on.
            self.sending = None;
        }
    }
}

impl Drop for Exchanged {
    fn drop(&mut self) {
        self.shared.active.set(self.shared.active.get().saturating_sub(1));
        if let Some(sending) = self.sending.take() {
            sending.abort();
        }
    }
}

/// Opens a stream for the request, and waits for its response.
pub(super) async fn exchange(
    library: &mut SendRequest<Bytes>,
    mut exchanged: Exchanged,
    request: &mut Request,
    early: &Informational,
) -> Result<Response, Failed> {
    exchanged.is_tunnel = request.upgrade.is_some() || request.method == Method::Connect;
    let head = head(request).ok_or(Failed::Invalid(Reason::Internal))?;
    let ends = !exchanged.is_tunnel && request.body.is_empty();
    let opened = library.send_request(head, ends);
    let (mut response, stream) = opened.map_err(Failed::Library)?;
    let mut stream = Some(stream).filter(|_| !ends);
    if !exchanged.is_tunnel
        && let Some(stream) = stream.take()
    {
        exchanged.send(stream, std::mem::take(&mut request.body));
    }
    let response = answered(&mut response, early).await?;
    exchanged.shared.has_answered.set(true);
    let is_open = exchanged.is_tunnel && response.status().is_success();
    if is_open && let Some(stream) = stream {
        exchanged.send(stream, std::mem::take(&mut request.body));
    }
    accept(response, exchanged, request, is_open).ok_or(Failed::Invalid(Reason::UpstreamMalformed))
}

/// The final response; those before go to `early`.
async fn answered(
    response: &mut ResponseFuture,
    early: &Informational,
) -> Result<http::Response<RecvStream>, Failed> {
    let mut early_count = 0;
    poll_fn(|context| {
        while let Poll::Ready(Some(Ok(information))) = response.poll_informational(context) {
            early_count += 1;
            // 101 has no meaning here (RFC 9113, section 8.6).
            if information.status() == StatusCode::SWITCHING_PROTOCOLS || early_count > EARLY_MAX {
                return Poll::Ready(Err(Failed::Invalid(Reason::UpstreamMalformed)));
            }
            let fields = map::response(information.headers()).unwrap_or_default();
            early.send(information.status().as_u16(), &fields);
        }
        Pin::new(&mut *response).poll(context).map_err(Failed::Library)
    })
    .await
}

/// The response as the proxy knows it; `None` if it is none (RFC 9113, section 8.1.1).
fn accept(
    response: http::Response<RecvStream>,
    exchanged: Exchanged,
    request: &Request,
    is_open: bool,
) -> Option<Response> {
    let (head, stream) = response.into_parts();
    let status = head.status.as_u16();
    if !(200..600).contains(&status) {
        return None;
    }
    let mut lengths =
        head.headers.get_all(header::CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let length = guard::content_length(&mut lengths).ok()?;
    let is_head = request.method == Method::Head;
    let has_body = !is_head && !matches!(status, 204 | 304);
    let is_upgraded = is_open && request.upgrade.is_some();
    let mut answer = Response::new(if is_upgraded { 101 } else { status });
    answer.fields = map::response(&head.headers)?;
    if is_upgraded && let Some(key) = request.field(Known::SecWebSocketKey) {
        // The client wants to see that its key was read.
        let accept = websocket::accept(key);
        answer.fields.set(Known::SecWebSocketAccept, accept.as_bytes());
    }
    answer.length_told = length.filter(|_| is_head || status == 304);
    if has_body && !stream.is_end_stream() {
        let length = length.filter(|_| !is_open);
        let body = Incoming::new(stream, length, Rc::new(Cell::new(0))).keeping(exchanged);
        answer.body = Body::from(Box::new(body));
    }
    Some(answer)
}

/// The request's header; `None` if HTTP/2 has no words for it.
fn head(request: &Request) -> Option<http::Request<()>> {
    let is_connect = request.method == Method::Connect;
    let mut parts = uri::Parts::default();
    parts.authority = Some(uri::Authority::try_from(request.authority()).ok()?);
    if !is_connect {
        // The client's, whatever is spoken to the endpoint.
        parts.scheme = Some(match request.scheme {
            crate::http::Scheme::Http => uri::Scheme::HTTP,
            crate::http::Scheme::Https => uri::Scheme::HTTPS,
        });
        parts.path_and_query = Some(uri::PathAndQuery::try_from(request.target()).ok()?);
    }
    let mut head = http::Request::new(());
    *head.version_mut() = http::Version::HTTP_2;
    *head.uri_mut() = Uri::from_parts(parts).ok()?;
    *head.method_mut() = match &request.upgrade {
        Some(protocol) => {
            head.extensions_mut().insert(Protocol::from(&**protocol));
            http::Method::CONNECT
        }
        None => http::Method::from_bytes(request.method.as_str().as_bytes()).ok()?,
    };
    *head.headers_mut() = fields(request, is_connect);
    Some(head)
}

fn fields(request: &Request, is_connect: bool) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(request.fields.len() + 2);
    map::extend(&mut fields, &request.fields);
    if request.upgrade.is_some() {
        // The handshake by key belongs to HTTP/1.1 (RFC 8441, section 5).
        fields.remove(Known::SecWebSocketKey.text());
    } else if !is_connect {
        let wants_body = matches!(request.method, Method::Post | Method::Put | Method::Patch);
        let length = request.body.length().filter(|it| *it > 0 || wants_body);
        if let Some(length) = length {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
    if map::is_grpc(&request.fields) {
        // Some servers insist (gRPC over HTTP/2, "Requests"), and trailers are passed on here.
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    fields
}
