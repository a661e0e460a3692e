//! Answers one request.

use super::{
    super::{
        Framing, encode,
        receiver::Receiver,
        request::RequestHead,
        sender::{Failure, Sender},
    },
    Next, Server,
    shared::RequestBody,
};
use crate::http::{Body, Frame, Method, Reason, Response, Scheme, Sent, Service, Version};
use std::{
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// Bytes that may arrive while a request is answered; then the client is not watched any more.
const AHEAD_BYTES_MAX: usize = 64 * 1_024;
/// What is left of a request body is read and thrown away up to so many bytes.
pub(super) const UNREAD_BYTES_MAX: u64 = 64 * 1_024;

/// What of a request the response depends on.
struct Asked {
    is_head: bool,
    is_connect: bool,
    version: Version,
    upgrade: Option<Box<str>>,
    keeps_alive: bool,
}

impl<S: Service + 'static> Server<S> {
    /// Has a request answered, and writes the response.
    pub(super) async fn answer(&mut self, is_last: bool) -> Next {
        let RequestHead { framing, keeps_alive, expects_continue, .. } = self.head;
        let request = &mut self.head.request;
        if self.connection.tls.is_some() {
            request.scheme = Scheme::Https;
        }
        if request.authority().is_empty() {
            request.set_authority(self.connection.local.to_string().as_bytes());
        }
        let asked = Asked {
            is_head: request.method == Method::Head,
            is_connect: request.method == Method::Connect,
            version: request.version,
            upgrade: request.upgrade.clone(),
            keeps_alive: keeps_alive && !is_last,
        };
        self.head.request.body = self.body(framing, expects_continue);
        let response = {
            let service = Rc::clone(&self.service);
            let connection = Rc::clone(&self.connection);
            let request = mem::take(&mut self.head.request);
            let mut call = pin!(service.call(&connection, request, self.early.clone()));
            poll_fn(|context| self.poll_call(call.as_mut(), context)).await
        };
        let Some(mut response) = response else { return Next::Gone };
        self.shared.borrow_mut().end_early();
        let is_tunnel = match response.status {
            101 => asked.upgrade.is_some(),
            status => asked.is_connect && (200..300).contains(&status),
        };
        if is_tunnel {
            return self.tunnel(&mut response, &asked).await;
        }
        if !(200..600).contains(&response.status) {
            let record = response.record.take();
            response = Response::refusal(Reason::Internal);
            response.record = record;
        }
        self.respond(&mut response, &asked).await
    }

    /// The body of a request whose head was read.
    fn body(&self, framing: Framing, expects_continue: bool) -> Body {
        let request = &self.head.request;
        let mut shared = self.shared.borrow_mut();
        shared.begin(Receiver::from(framing), request.version == Version::Http11);
        shared.owes_continue = expects_continue;
        shared.is_held = request.upgrade.is_some() || request.method == Method::Connect;
        if shared.is_held {
            drop(shared);
            return Box::new(RequestBody::new(&self.shared, None)).into();
        }
        let there = shared.wire.input.bytes().len() as u64;
        match framing {
            Framing::None => Body::Empty,
            Framing::Length(length) if length <= there => {
                let shared = &mut *shared;
                shared.received_bytes = length;
                shared.owes_continue = false;
                match shared.receiver.next(&mut shared.wire.input) {
                    Ok(Some(Frame::Data(data))) => Body::Bytes(data),
                    _ => Body::Empty,
                }
            }
            _ => {
                drop(shared);
                let timeout = Some(self.options.body_timeout);
                Box::new(RequestBody::new(&self.shared, timeout)).into()
            }
        }
    }

    /// The service's response; `None` if the client went away before.
    fn poll_call(
        &self,
        call: Pin<&mut impl Future<Output = Response>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Response>> {
        if let Poll::Ready(response) = call.poll(context) {
            return Poll::Ready(Some(response));
        }
        if self.is_gone(context) { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Writes what is to be written, and looks whether the client went away. What it sends meanwhile
    /// is kept.
    fn is_gone(&self, context: &mut Context<'_>) -> bool {
        let mut shared = self.shared.borrow_mut();
        shared.remember(context.waker());
        if shared.is_gone || matches!(shared.wire.poll_flush(context), Poll::Ready(Err(_))) {
            return true;
        }
        // Before its end a body is read by whoever wants it.
        if !shared.receiver.is_done() {
            return false;
        }
        while shared.wire.input.bytes().len() < AHEAD_BYTES_MAX {
            match shared.wire.poll_fill(context) {
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return false,
            }
        }
        false
    }

    async fn respond(&mut self, response: &mut Response, asked: &Asked) -> Next {
        let mut body = mem::take(&mut response.body);
        let status = response.status;
        let has_body = !asked.is_head && !matches!(status, 204 | 304);
        let framing =
            if has_body { encode::framing_for(&body, asked.version) } else { Framing::None };
        let length_told = match status {
            204 => None,
            304 => response.length_told,
            _ if has_body => None,
            _ => response.length_told.or_else(|| body.length().filter(|_| !body.is_empty())),
        };
        let closes = !asked.keeps_alive
            || response.closes
            || framing == Framing::Close
            || self.drain.is_started()
            || !self.is_drainable();
        {
            let mut shared = self.shared.borrow_mut();
            if shared.is_held {
                shared.dismiss();
            }
            let line = encode::ResponseLine {
                status,
                version: asked.version,
                framing,
                length_told,
                closes,
                upgrade: None,
            };
            encode::response(shared.wire.output.text(), &line, &response.fields);
        }
        let mut sender = Sender::new(framing).closing(closes);
        let sent = self.send(&mut sender, &mut body).await;
        drop(body);
        self.finish(response, &sender, sent.is_ok());
        match sent {
            Err(_) => Next::Abort,
            Ok(()) if closes => Next::End,
            Ok(()) if self.drain_body().await => Next::Request,
            Ok(()) => Next::End,
        }
    }

    /// Sends a body to its end.
    pub(super) async fn send(
        &mut self,
        sender: &mut Sender,
        body: &mut Body,
    ) -> Result<(), Failure> {
        let mut progress = (0, None);
        poll_fn(|context| {
            if let Poll::Ready(sent) = sender.poll_send(body, &self.shared, context) {
                return Poll::Ready(sent);
            }
            if self.is_gone(context) {
                return Poll::Ready(Err(Failure::Peer));
            }
            let shared = self.shared.borrow();
            let written = shared.wire.output.written_bytes();
            if shared.wire.output.is_empty() || progress.0 != written {
                progress = (written, None);
            }
            if !shared.wire.output.is_empty() {
                let timeout = self.options.body_timeout;
                let deadline = *progress.1.get_or_insert_with(|| Instant::now() + timeout);
                if self.timer.poll(deadline, context).is_ready() {
                    return Poll::Ready(Err(Failure::Peer));
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn tunnel(&mut self, response: &mut Response, asked: &Asked) -> Next {
        let mut body = mem::take(&mut response.body);
        {
            let mut shared = self.shared.borrow_mut();
            let line = encode::ResponseLine {
                status: response.status,
                version: Version::Http11,
                framing: Framing::None,
                length_told: None,
                closes: false,
                upgrade: asked.upgrade.as_deref(),
            };
            encode::response(shared.wire.output.text(), &line, &response.fields);
            shared.open_tunnel();
        }
        let mut sender = Sender::new(Framing::Close);
        let sent = self.send(&mut sender, &mut body).await;
        if sent.is_ok() {
            self.wait_for_end().await;
        }
        self.shared.borrow_mut().dismiss();
        self.finish(response, &sender, sent.is_ok());
        if sent.is_ok() { Next::Gone } else { Next::Abort }
    }

    fn finish(&self, response: &mut Response, sender: &Sender, is_complete: bool) {
        let sent = Sent {
            request_bytes: self.shared.borrow().received_bytes,
            response_bytes: sender.sent_bytes(),
            is_complete,
        };
        self.service.finished(&self.connection, response.record.take(), sent);
    }
}
