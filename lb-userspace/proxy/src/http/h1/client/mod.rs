//! Has requests answered by endpoints.

mod response_body;
mod upload;

use super::{
    encode,
    receiver::Receiver,
    request::Limits,
    response::{ResponseHead, ResponseReader},
};
use crate::{
    http::{
        Body, BodyError, Frame, Informational, Known, Method, Reason, Request, Response, wire::Wire,
    },
    io::Io,
    send::SendError,
};
use response_body::ResponseBody;
use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use upload::Upload;

/// Informational responses to one request: more is an endpoint gone mad.
const EARLY_MAX: u32 = 16;

/// A connection to an endpoint that no exchange uses.
pub struct Client {
    wire: Rc<RefCell<Wire>>,
    limits: ResponseLimits,
    is_reused: bool,
}

/// Limits of responses' heads. One beyond them is [`Reason::UpstreamMalformed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Bytes of a status line and header section.
    pub header_bytes_max: u32,
    /// Fields of a header section.
    pub header_fields_max: u16,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self { header_bytes_max: 64 * 1_024, header_fields_max: 200 }
    }
}

/// How one exchange is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeOptions {
    /// Longest time between two pieces of the response's body, which ends with
    /// [`BodyError::Timeout`] then; `None` = no limit. Not for tunnels.
    pub idle_timeout: Option<Duration>,
}

impl Client {
    /// A new connection.
    pub fn new(io: Io, limits: ResponseLimits) -> Self {
        Self { wire: Rc::new(RefCell::new(Wire::new(io))), limits, is_reused: false }
    }

    /// Whether an exchange may be begun: the endpoint closed nothing and sent nothing. Costs no
    /// system call while nothing arrived.
    pub fn is_alive(&self) -> bool {
        let mut wire = self.wire.borrow_mut();
        let mut context = Context::from_waker(Waker::noop());
        wire.input.is_empty() && wire.poll_fill(&mut context).is_pending()
    }

    /// Has a request answered. Of the request only the body is taken, and only when something of it
    /// is sent that cannot be sent again. Informational responses go to `early`. A body that is sent
    /// for longer than the response's head takes is sent in the background. `release` gets the
    /// connection back when both messages were complete and it can be used again; else it is
    /// closed. Dropping the future, or the response's body before its end, closes it.
    ///
    /// For [`Request::upgrade`] a response with status 101 is a tunnel: its body is what the endpoint
    /// sends through it, and the request's body is sent until its end; the same goes for `CONNECT`
    /// and 2xx.
    ///
    /// Must be called inside a `LocalSet` or local runtime.
    ///
    /// # Errors
    /// No response: [`Reason::UpstreamReset`], [`Reason::UpstreamMalformed`]; or the request could
    /// not be sent to its end: [`Reason::Malformed`], [`Reason::BodyMismatch`], what became of its
    /// body.
    pub async fn exchange<R: FnOnce(Self) + 'static>(
        self,
        request: &mut Request,
        early: &Informational,
        options: ExchangeOptions,
        release: R,
    ) -> Result<Response, SendError> {
        if self.is_reused && !self.is_alive() {
            return Err(SendError::unseen(Reason::UpstreamReset));
        }
        let framing = encode::request(self.wire.borrow_mut().output.text(), request);
        let framing = framing.map_err(SendError::unseen)?;
        let mut exchange = Exchange {
            client: self,
            upload: Upload::new(framing),
            reader: ResponseReader::default(),
            head: ResponseHead::default(),
            has_bytes: false,
            early_count: 0,
        };
        poll_fn(|context| exchange.poll_head(request, early, context)).await?;
        let Exchange { client, upload, head, .. } = exchange;
        Ok(client.respond(head, request, upload, options, release))
    }

    /// The response with this head.
    fn respond<R: FnOnce(Self) + 'static>(
        self,
        head: ResponseHead,
        request: &mut Request,
        upload: Upload,
        options: ExchangeOptions,
        release: R,
    ) -> Response {
        let mut response = Response::new(head.status);
        response.fields = head.fields;
        let is_connected = request.method == Method::Connect && (200..300).contains(&head.status);
        if head.status == 101 || is_connected {
            let tunnel = Upload::into_tunnel(std::mem::take(&mut request.body), &self.wire);
            let body = ResponseBody::tunnel(self, tunnel, release);
            response.body = Box::new(body).into();
            return response;
        }
        let has_no_body = request.method == Method::Head || head.status == 304;
        response.length_told = head.length.filter(|_| has_no_body);
        let mut receiver = Receiver::from(head.framing);
        let upload = upload.into_background(&mut request.body, &self.wire);
        if upload.is_done() {
            let mut wire = self.wire.borrow_mut();
            let is_there =
                receiver.length().is_some_and(|it| it <= wire.input.bytes().len() as u64);
            if is_there {
                if let Ok(Some(Frame::Data(data))) = receiver.next(&mut wire.input) {
                    response.body = Body::Bytes(data);
                }
                let is_reusable = head.keeps_alive && wire.input.is_empty();
                drop(wire);
                if is_reusable {
                    release(Self { is_reused: true, ..self });
                }
                return response;
            }
        }
        let body = ResponseBody::new(self, receiver, upload, head.keeps_alive, options, release);
        response.body = Box::new(body).into();
        response
    }
}

/// A request that is being sent, and whose response's head is waited for.
struct Exchange {
    client: Client,
    upload: Upload,
    reader: ResponseReader,
    head: ResponseHead,
    /// Something of a response has come.
    has_bytes: bool,
    early_count: u32,
}

impl Exchange {
    fn poll_head(
        &mut self,
        request: &mut Request,
        early: &Informational,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.upload.poll(&mut request.body, &self.client.wire, context).map_err(SendError::seen)?;
        let limits = Limits {
            bytes_max: self.client.limits.header_bytes_max as usize,
            fields_max: usize::from(self.client.limits.header_fields_max),
        };
        let mut wire = self.client.wire.borrow_mut();
        loop {
            if !wire.input.is_empty() {
                self.has_bytes = true;
                let (bytes, head) = (wire.input.bytes(), &mut self.head);
                let found = self.reader.next(bytes, &request.method, limits, head);
                if let Some(length) = found.map_err(SendError::seen)? {
                    wire.input.skip(length);
                    if head.status >= 200 || is_wanted_upgrade(head, request) {
                        return Poll::Ready(Ok(()));
                    }
                    self.early_count += 1;
                    if head.status == 101 || self.early_count > EARLY_MAX {
                        return Poll::Ready(Err(SendError::seen(Reason::UpstreamMalformed)));
                    }
                    if head.status != 100 {
                        early.send(head.status, &head.fields);
                    }
                    continue;
                }
            }
            match wire.poll_fill(context) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => {
                    let is_unseen = self.client.is_reused && !self.has_bytes;
                    let reason = Reason::UpstreamReset;
                    return Poll::Ready(Err(SendError { reason, is_unseen }));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Whether a head is the 101 that was asked for (RFC 9110, section 15.2.2; RFC 6455, section 4.1).
fn is_wanted_upgrade(head: &ResponseHead, request: &Request) -> bool {
    let is_asked = request.upgrade.is_some() && head.upgrade == request.upgrade;
    let is_keyed = !request.fields.contains(Known::SecWebSocketKey)
        || head.fields.contains(Known::SecWebSocketAccept);
    head.status == 101 && is_asked && is_keyed
}

/// Why a request was not sent to its end.
const fn reason_of(error: BodyError) -> Reason {
    match error {
        BodyError::Broken => Reason::ClientGone,
        BodyError::Malformed => Reason::Malformed,
        BodyError::Timeout => Reason::BodyTimeout,
        BodyError::TooLarge => Reason::BodyTooLarge,
    }
}
