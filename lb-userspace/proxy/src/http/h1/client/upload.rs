//! Sends the body of a request.

use super::{
    super::{
        Framing,
        sender::{Failure, Sender},
    },
    reason_of,
};
use crate::http::{Body, Reason, wire::Wire};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    mem,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;

/// A body on its way.
pub(super) struct Upload {
    sender: Sender,
    /// The body, once it was taken from the request.
    body: Option<Body>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    Done,
    /// The endpoint takes no more. It may have answered nevertheless.
    Refused,
}

impl Upload {
    /// Of a body so framed, behind a head that is to be written already.
    pub(super) fn new(framing: Framing) -> Self {
        Self { sender: Sender::new(framing), body: None, state: State::Sending }
    }

    /// Sends what can be sent.
    pub(super) fn poll(
        &mut self,
        body: &mut Body,
        wire: &RefCell<Wire>,
        context: &mut Context<'_>,
    ) -> Result<(), Reason> {
        if self.state != State::Sending {
            return Ok(());
        }
        if self.body.is_none() {
            let polled = self.begin(body, wire, context);
            if polled? == Begin::Waits {
                return Ok(());
            }
        }
        let body = self.body.get_or_insert_default();
        match self.sender.poll_send(body, wire, context) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.state = State::Done,
            Poll::Ready(Err(failure)) => self.fail(failure)?,
        }
        Ok(())
    }

    /// Takes the body, a stream with its first piece and not before.
    fn begin(
        &mut self,
        body: &mut Body,
        wire: &RefCell<Wire>,
        context: &mut Context<'_>,
    ) -> Result<Begin, Reason> {
        self.body = match body {
            _ if self.sender.is_ended() => Some(Body::Empty),
            Body::Empty => Some(Body::Empty),
            // Bytes can be sent again: the request keeps them.
            Body::Bytes(bytes) => Some(Body::Bytes(bytes.clone())),
            Body::Stream(_) => match body.poll_frame(context) {
                Poll::Ready(frame) => {
                    let frame = frame.transpose().map_err(reason_of)?;
                    let put = self.sender.put(&mut wire.borrow_mut().output, frame);
                    self.body = Some(mem::take(body));
                    return put.or_else(|it| self.fail(it)).map(|()| Begin::Goes);
                }
                Poll::Pending => {
                    let flushed = wire.borrow_mut().poll_flush(context);
                    if matches!(flushed, Poll::Ready(Err(_))) {
                        self.state = State::Refused;
                    }
                    return Ok(Begin::Waits);
                }
            },
        };
        Ok(Begin::Goes)
    }

    fn fail(&mut self, failure: Failure) -> Result<(), Reason> {
        self.state = State::Refused;
        match failure {
            Failure::Peer => Ok(()),
            Failure::Mismatch => Err(Reason::BodyMismatch),
            Failure::Body(error) => Err(reason_of(error)),
        }
    }

    /// Goes on without the exchange.
    pub(super) fn into_background(self, body: &mut Body, wire: &Rc<RefCell<Wire>>) -> Background {
        match self.state {
            State::Done => return Background { is_done: None, task: None },
            State::Refused => {
                return Background { is_done: Some(Rc::new(Cell::new(false))), task: None };
            }
            State::Sending => {}
        }
        let body = self.body.unwrap_or_else(|| mem::take(body));
        spawn(self.sender, body, wire, false)
    }

    /// Sends `body` through the tunnel that `wire` became.
    pub(super) fn into_tunnel(body: Body, wire: &Rc<RefCell<Wire>>) -> Background {
        spawn(Sender::new(Framing::Close), body, wire, true)
    }
}

/// Whether the body can be sent.
#[derive(PartialEq, Eq)]
enum Begin {
    Goes,
    Waits,
}

/// A body that is sent by a task of its own. Dropping it ends the task.
pub(super) struct Background {
    /// `None` = before there was a task.
    is_done: Option<Rc<Cell<bool>>>,
    task: Option<JoinHandle<()>>,
}

impl Background {
    /// Whether all of it was sent.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.as_ref().is_none_or(|it| it.get())
    }

    /// Lets the task go on by itself.
    pub(super) fn detach(&mut self) {
        self.task = None;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn spawn(
    mut sender: Sender,
    mut body: Body,
    wire: &Rc<RefCell<Wire>>,
    is_tunnel: bool,
) -> Background {
    let is_done = Rc::new(Cell::new(false));
    let (wire, done) = (Rc::clone(wire), Rc::clone(&is_done));
    let task = tokio::task::spawn_local(async move {
        let sent = poll_fn(|context| sender.poll_send(&mut body, &*wire, context)).await;
        done.set(sent.is_ok());
        match sent {
            Ok(()) if is_tunnel => {
                // Nobody is left to tell if this fails.
                drop(poll_fn(|context| wire.borrow_mut().poll_shutdown(context)).await);
            }
            Err(Failure::Body(_)) if is_tunnel => wire.borrow().abort(),
            _ => {}
        }
    });
    Background { is_done: Some(is_done), task: Some(task) }
}
