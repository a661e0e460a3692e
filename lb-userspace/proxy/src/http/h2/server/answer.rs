//! One stream of a client: its request is called, its response written.

use super::{
    super::map,
    Shared,
    body::{RequestBody, take},
    head::Received,
    stream::Stream,
};
use crate::http::{
    Body, BodyError, Fields, Frame, Informational, Known, Method, Reason, Response, Sent, Service,
    date, guard, h2::hpack::Encoder, wire::Timer, words::text_bytes,
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// A stream that is being answered.
pub(super) struct Answering<S> {
    pub(super) shared: Rc<Shared<S>>,
    pub(super) stream: Rc<Stream>,
}

/// What was asked, as far as it says how the response is framed.
#[derive(Clone, Copy, Default)]
struct Asked {
    is_head: bool,
    /// By an extended CONNECT.
    wants_upgrade: bool,
    is_tunnel: bool,
}

/// Why a body was not sent to its end.
enum Unsent {
    /// The client reset the stream, or its connection broke.
    Gone,
    /// It took nothing for too long.
    Stalled,
    /// The body broke.
    Broken,
}

impl<S> Drop for Answering<S> {
    fn drop(&mut self) {
        // Where tasks cannot be spawned any more, it is dropped at once; then the connection ends.
        if let Ok(mut core) = self.shared.core.try_borrow_mut() {
            core.release(&self.stream);
        }
    }
}

/// Answers the request of a stream.
pub(super) async fn answer<S: Service>(this: Answering<S>, received: Box<Received>) {
    let asked = Asked {
        is_head: received.request.method == Method::Head,
        wants_upgrade: received.request.upgrade.is_some(),
        is_tunnel: received.is_tunnel,
    };
    if let Some(response) = this.call(received).await {
        this.write(response, asked).await;
    }
}

/// Tells why a request is not answered.
pub(super) async fn refuse<S: Service>(this: Answering<S>, reason: Reason, is_head: bool) {
    let asked = Asked { is_head, ..Asked::default() };
    this.write(Response::refusal(reason), asked).await;
}

impl<S: Service> Answering<S> {
    /// Calls the service; `None` if the client went away meanwhile.
    async fn call(&self, received: Box<Received>) -> Option<Response> {
        let Shared { connection, service, .. } = &*self.shared;
        let early = self.early();
        let Received { mut request, expects_continue, is_tunnel, .. } = *received;
        request.body = self.body(&request.fields, expects_continue, is_tunnel, &early);
        if self.stream.state().is_closed {
            return None;
        }
        let mut call = pin!(service.call(connection, request, early));
        poll_fn(|context| self.poll_call(call.as_mut(), context)).await
    }

    fn poll_call(
        &self,
        call: Pin<&mut impl Future<Output = Response>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Response>> {
        if self.stream.state().is_closed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(response) = call.poll(context) {
            return Poll::Ready(Some(response));
        }
        self.poll_gone(context).map(|()| None)
    }

    /// Whether the client went away.
    fn poll_gone(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.stream.state();
        if state.is_closed {
            return Poll::Ready(());
        }
        state.remember(context.waker());
        Poll::Pending
    }

    /// The request's body: what came with its header already is not waited for.
    fn body(
        &self,
        fields: &Fields,
        expects_continue: bool,
        is_tunnel: bool,
        early: &Informational,
    ) -> Body {
        let core = &self.shared.core;
        let is_whole = {
            let state = self.stream.state();
            state.receiving.is_ended && state.receiving.trailers.is_none()
        };
        if is_whole {
            return Body::from(take(core, &self.stream));
        }
        // gRPC's streams are silent as long as they like; a dead client shows by a PING.
        let is_patient = is_tunnel || map::is_grpc(fields);
        let timeout = (!is_patient).then_some(self.shared.options.body_timeout);
        let before = expects_continue.then(|| {
            let early = early.clone();
            let before: Box<dyn FnOnce()> = Box::new(move || early.send(100, &Fields::new()));
            before
        });
        Body::from(Box::new(RequestBody::new(core, &self.stream, timeout, before)))
    }

    fn early(&self) -> Informational {
        let core = Rc::downgrade(&self.shared.core);
        let stream = Rc::downgrade(&self.stream);
        Informational::new(move |status, fields| {
            let (Some(core), Some(stream)) = (core.upgrade(), stream.upgrade()) else { return };
            // 101 has no meaning here (RFC 9113, section 8.6).
            if !(100..200).contains(&status) || status == 101 || stream.state().is_responding {
                return;
            }
            core.borrow_mut().headers(&stream, false, |encoder, block| {
                encoder.status(block, status);
                put(encoder, block, fields, &[]);
            });
        })
    }

    async fn write(&self, mut response: Response, asked: Asked) {
        let Shared { connection, service, core, .. } = &*self.shared;
        if response.closes {
            core.borrow_mut().end_soon();
        }
        let record = response.record.take();
        if asked.wants_upgrade && (200..300).contains(&response.status) {
            // To the client any of these would mean that the tunnel is open (RFC 8441, section 5).
            response = Response::refusal(Reason::UpstreamMalformed);
        }
        let mut body = std::mem::take(&mut response.body);
        let is_tunnel = asked.is_tunnel && matches!(response.status, 101 | 200..=299);
        let has_body = !asked.is_head && !matches!(response.status, 204 | 304);
        let ends = !has_body || (body.is_empty() && !is_tunnel);
        let length = match response.status {
            204 => None,
            _ if is_tunnel => None,
            // END_STREAM says as much, and gRPC's responses of trailers only have no length.
            _ if has_body && ends => None,
            _ if has_body => body.length(),
            _ => response.length_told.or_else(|| body.length().filter(|it| *it > 0)),
        };
        self.head(&response, is_tunnel, length, ends);
        let sent = if ends { self.sent() } else { self.send(&mut body, is_tunnel).await };
        let is_complete = sent.is_ok();
        match sent {
            Err(Unsent::Broken) => {
                core.borrow_mut().reset(&self.stream, h2::Reason::INTERNAL_ERROR);
            }
            Err(Unsent::Stalled) => core.borrow_mut().reset(&self.stream, h2::Reason::CANCEL),
            Ok(()) => core.borrow().meter.answered(),
            Err(Unsent::Gone) => {}
        }
        drop(body);
        let (request_bytes, response_bytes) = {
            let state = self.stream.state();
            (state.receiving.taken_bytes, state.sending.sent_bytes)
        };
        service.finished(connection, record, Sent { request_bytes, response_bytes, is_complete });
    }

    fn head(&self, response: &Response, is_tunnel: bool, length: Option<u64>, ends: bool) {
        let status = if is_tunnel && response.status == 101 { 200 } else { response.status };
        let status = if (200..600).contains(&status) { status } else { 502 };
        let omitted: &[Known] = if is_tunnel { &[Known::SecWebSocketAccept] } else { &[] };
        let server = self.shared.options.server_name.as_deref();
        let server = server.filter(|_| response.reason.is_some());
        self.stream.state().is_responding = true;
        self.shared.core.borrow_mut().headers(&self.stream, ends, |encoder, block| {
            encoder.status(block, status);
            let fields = &response.fields;
            put(encoder, block, fields, omitted);
            if let Some(length) = length {
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(length).as_bytes();
                encoder.field(block, Known::ContentLength.into(), digits);
            }
            if !fields.contains(Known::Date) {
                encoder.field(block, Known::Date.into(), &date::now());
            }
            if let Some(server) = server.filter(|_| !fields.contains(Known::Server)) {
                encoder.field(block, Known::Server.into(), server.as_bytes());
            }
        });
    }

    /// Whether all was said.
    fn sent(&self) -> Result<(), Unsent> {
        let is_ended = self.stream.state().sending.is_ended;
        is_ended.then_some(()).ok_or(Unsent::Gone)
    }

    /// Sends all of `body`.
    async fn send(&self, body: &mut Body, is_tunnel: bool) -> Result<(), Unsent> {
        let patience = (!is_tunnel).then_some(self.shared.options.body_timeout);
        let mut timer = Timer::default();
        let mut frame = self.next(body).await?;
        loop {
            match frame {
                None => {
                    self.shared.core.borrow_mut().send(&self.stream, Bytes::new(), true);
                    return self.sent();
                }
                Some(Frame::Trailers(fields)) => {
                    self.shared.core.borrow_mut().headers(&self.stream, true, |encoder, block| {
                        put(encoder, block, &fields, &[]);
                    });
                    return self.sent();
                }
                Some(Frame::Data(bytes)) => {
                    // What is there already says whether this is the end.
                    let next = poll_fn(|context| Poll::Ready(body.poll_frame(context))).await;
                    let is_last = matches!(next, Poll::Ready(None));
                    self.shared.core.borrow_mut().send(&self.stream, bytes, is_last);
                    poll_fn(|context| self.poll_sent(patience, &mut timer, context)).await?;
                    frame = match next {
                        Poll::Ready(None) => return self.sent(),
                        Poll::Ready(Some(next)) => Some(next.map_err(broken)?),
                        Poll::Pending => self.next(body).await?,
                    };
                }
            }
        }
    }

    /// The body's next frame, unless the client goes away first.
    async fn next(&self, body: &mut Body) -> Result<Option<Frame>, Unsent> {
        poll_fn(|context| {
            if let Poll::Ready(frame) = body.poll_frame(context) {
                return Poll::Ready(frame.transpose().map_err(broken));
            }
            self.poll_gone(context).map(|()| Err(Unsent::Gone))
        })
        .await
    }

    /// Waits until what was put has gone where it cannot be held up by this stream any more.
    fn poll_sent(
        &self,
        patience: Option<Duration>,
        timer: &mut Timer,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent>> {
        let deadline = {
            let mut state = self.stream.state();
            if state.sending.pending.is_empty() {
                let is_gone = state.is_closed && !state.sending.is_ended;
                return Poll::Ready(if is_gone { Err(Unsent::Gone) } else { Ok(()) });
            }
            state.remember(context.waker());
            let Some(patience) = patience else { return Poll::Pending };
            let sending = &mut state.sending;
            if sending.waits_since.is_none_or(|(sent, _)| sent != sending.sent_bytes) {
                sending.waits_since = Some((sending.sent_bytes, Instant::now()));
            }
            sending.waits_since.map(|(_, since)| since + patience)
        };
        let Some(deadline) = deadline else { return Poll::Pending };
        ready!(timer.poll(deadline, context));
        Poll::Ready(Err(Unsent::Stalled))
    }
}

fn broken(_: BodyError) -> Unsent {
    Unsent::Broken
}

/// Writes fields, but for those that are meant for one connection or frame a message, and
/// `omitted` ones. What a filter was given that is no field is left out.
fn put(encoder: &Encoder, block: &mut Vec<u8>, fields: &Fields, omitted: &[Known]) {
    for (name, value) in fields.iter() {
        let known = name.known();
        if map::is_framing(known) || omitted.contains(&known) {
            continue;
        }
        let text = name.text();
        let is_name =
            known != Known::Other || (!text.is_empty() && guard::token_bytes(text) == text.len());
        if is_name && text_bytes(value) == value.len() {
            encoder.field(block, name, value);
        }
    }
}
