//! One stream of a client: its request is called, its response written.

use super::{
    incoming::Incoming,
    map,
    outgoing::Outgoing,
    request::{Received, Refusal, convert},
    server::{Running, Shared},
};
use crate::http::{
    Body, Fields, Informational, Known, Method, Reason, Response, Scheme, Sent, Service, date,
};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::Poll,
};

type Respond = Rc<RefCell<SendResponse<Bytes>>>;

/// What was asked, as far as it says how the response is framed.
#[derive(Clone, Copy, Default)]
struct Asked {
    is_head: bool,
    /// By an extended CONNECT.
    wants_upgrade: bool,
    is_tunnel: bool,
}

/// Answers the request of a stream.
pub(super) async fn answer<S: Service>(
    running: Running<S>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let shared = &*running.0;
    let (parts, stream) = request.into_parts();
    let respond = Rc::new(RefCell::new(respond));
    let scheme = if shared.connection.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let received_bytes = Rc::new(Cell::new(0));
    let (response, asked) = match convert(&parts, scheme, &shared.options) {
        Ok(received) => {
            drop(parts);
            let asked = Asked {
                is_head: received.request.method == Method::Head,
                wants_upgrade: received.request.upgrade.is_some(),
                is_tunnel: received.is_tunnel,
            };
            let counter = received_bytes.clone();
            match call(shared, received, stream, &respond, counter).await {
                Some(response) => (response, asked),
                None => return,
            }
        }
        Err(Refusal::Reset(reason)) => {
            shared.service.refused(&shared.connection, reason);
            respond.borrow_mut().send_reset(h2::Reason::PROTOCOL_ERROR);
            shared.meter.reset_made();
            return;
        }
        Err(Refusal::Answer(reason)) => {
            shared.service.refused(&shared.connection, reason);
            let asked = Asked { is_head: parts.method == http::Method::HEAD, ..Asked::default() };
            (Response::refusal(reason), asked)
        }
    };
    if response.closes {
        shared.streams.finish();
    }
    write(shared, &respond, response, asked, &received_bytes).await;
}

/// Calls the service; `None` if the client went away meanwhile.
async fn call<S: Service>(
    shared: &Shared<S>,
    received: Received,
    stream: RecvStream,
    respond: &Respond,
    received_bytes: Rc<Cell<u64>>,
) -> Option<Response> {
    let Received { mut request, length, expects_continue, is_tunnel } = received;
    let early = early(respond);
    if !stream.is_end_stream() {
        let mut body = Incoming::new(stream, length, received_bytes);
        if !is_tunnel && !map::is_grpc(&request.fields) {
            // gRPC's streams are silent as long as they like; a dead client shows by a PING.
            body = body.within(shared.options.body_timeout);
        }
        if expects_continue {
            let early = early.clone();
            body = body.first(move || early.send(100, &Fields::new()));
        }
        request.body = Body::from(Box::new(body));
    }
    let mut call = pin!(shared.service.call(&shared.connection, request, early));
    poll_fn(|context| {
        if let Poll::Ready(response) = call.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        respond.borrow_mut().poll_reset(context).map(|_| None)
    })
    .await
}

fn early(respond: &Respond) -> Informational {
    let respond = Rc::downgrade(respond);
    Informational::new(move |status, fields| {
        let Some(respond) = respond.upgrade() else { return };
        let Ok(status) = StatusCode::from_u16(status) else { return };
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = map::of(fields);
        // Too late, or the client is gone: either way nobody waits for it.
        respond.borrow_mut().send_informational(response).ok();
    })
}

async fn write<S: Service>(
    shared: &Shared<S>,
    respond: &Respond,
    mut response: Response,
    asked: Asked,
    received_bytes: &Cell<u64>,
) {
    if asked.wants_upgrade && (200..300).contains(&response.status) {
        // To the client any of these would mean that the tunnel is open (RFC 8441, section 5).
        let record = response.record.take();
        response = Response { record, ..Response::refusal(Reason::UpstreamMalformed) };
    }
    let record = response.record.take();
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
    let head = head(shared, &response, is_tunnel, length);
    let stream = respond.borrow_mut().send_response(head, ends);
    let mut sent = Sent::default();
    if let Ok(mut stream) = stream {
        sent.is_complete = ends;
        if !ends {
            let patience = (!is_tunnel).then_some(shared.options.body_timeout);
            let meter = &*shared.meter;
            let mut outgoing = Outgoing { stream: &mut stream, meter, patience, sent_bytes: 0 };
            sent.is_complete = outgoing.send(&mut body).await.is_ok();
            sent.response_bytes = outgoing.sent_bytes;
        }
    }
    if sent.is_complete {
        shared.meter.answered();
    }
    sent.request_bytes = received_bytes.get();
    shared.service.finished(&shared.connection, record, sent);
}

fn head<S>(
    shared: &Shared<S>,
    response: &Response,
    is_tunnel: bool,
    length: Option<u64>,
) -> http::Response<()> {
    let mut fields = HeaderMap::with_capacity(response.fields.len() + 3);
    map::extend(&mut fields, &response.fields);
    if let Some(length) = length {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if is_tunnel {
        fields.remove(HeaderName::from_static(Known::SecWebSocketAccept.text()));
    }
    if !fields.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_bytes(&date::now())
    {
        fields.insert(header::DATE, date);
    }
    let server = shared.options.server_name.as_ref().filter(|_| response.reason.is_some());
    if let Some(Ok(server)) = server.map(|it| HeaderValue::from_str(it)) {
        fields.entry(header::SERVER).or_insert(server);
    }
    let status = if is_tunnel && response.status == 101 { 200 } else { response.status };
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *head.headers_mut() = fields;
    head
}
