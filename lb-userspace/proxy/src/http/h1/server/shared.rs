//! A client's connection, shared by the task that serves it and by bodies of its requests.

use super::super::{encode, receiver::Receiver};
use crate::http::{
    BodyError, BodyStream, Fields, Frame, Informational,
    wire::{HasWire, Timer, Wire},
};
use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::Instant;

/// Informational responses to one request: more is a backend gone mad.
const EARLY_MAX: u8 = 16;

/// A client's connection.
pub(super) struct Shared {
    pub(super) wire: Wire,
    /// The body of the request that is being answered.
    pub(super) receiver: Receiver,
    /// Number of that request: bodies of those before it get nothing.
    pub(super) serial: u64,
    /// Bytes of that body that were taken.
    pub(super) received_bytes: u64,
    /// The client waits for `100 Continue`.
    pub(super) owes_continue: bool,
    /// Informational responses that may still be written.
    pub(super) early_left: u8,
    /// What arrives belongs to a tunnel that is not open: it is held back.
    pub(super) is_held: bool,
    /// The client went away while its body was received.
    pub(super) is_gone: bool,
    /// Who waits for a piece of the body, or for the tunnel to open.
    reader: Option<Waker>,
    /// The task that serves the connection.
    task: Option<Waker>,
}

impl HasWire for Shared {
    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Shared {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            receiver: Receiver::Done,
            serial: 0,
            received_bytes: 0,
            owes_continue: false,
            early_left: 0,
            is_held: false,
            is_gone: false,
            reader: None,
            task: None,
        }
    }

    /// Remembers the task that serves the connection.
    pub(super) fn remember(&mut self, waker: &Waker) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }

    /// Begins with another request.
    pub(super) fn begin(&mut self, receiver: Receiver, takes_early: bool) {
        self.dismiss();
        self.receiver = receiver;
        self.received_bytes = 0;
        self.early_left = if takes_early { EARLY_MAX } else { 0 };
        self.is_held = false;
    }

    /// From here on only the response is written.
    pub(super) fn end_early(&mut self) {
        self.early_left = 0;
    }

    /// Lets what was held back, and all that comes, through to the tunnel.
    pub(super) fn open_tunnel(&mut self) {
        (self.receiver, self.is_held) = (Receiver::Close, false);
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Whoever still reads the body gets nothing any more, and is told now: a client that is silent
    /// would never wake it.
    pub(super) fn dismiss(&mut self) {
        self.serial += 1;
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Writes as much as goes; the serving task writes the rest.
    fn push(&mut self) {
        if let Some(task) = self.task.clone() {
            let polled = self.wire.poll_flush(&mut Context::from_waker(&task));
            if !matches!(polled, Poll::Ready(Ok(()))) {
                task.wake();
            }
        }
    }
}

/// Takes informational responses to the client, at once, while `shared` answers a request.
pub(super) fn early(shared: &Rc<RefCell<Shared>>) -> Informational {
    let shared = Rc::downgrade(shared);
    Informational::new(move |status, fields: &Fields| {
        let Some(shared) = shared.upgrade() else { return };
        let Ok(mut shared) = shared.try_borrow_mut() else { return };
        let is_early = (102..200).contains(&status);
        let is_room = !shared.wire.output.is_full();
        if shared.early_left > 0 && is_early && is_room {
            shared.early_left -= 1;
            encode::informational(shared.wire.output.text(), status, fields);
            shared.push();
        }
    })
}

/// The body of a request, or what comes through its tunnel.
pub(super) struct RequestBody {
    shared: Rc<RefCell<Shared>>,
    serial: u64,
    /// Longest time between two pieces; `None` for tunnels.
    idle_timeout: Option<Duration>,
    deadline: Option<Instant>,
    timer: Timer,
}

impl RequestBody {
    /// The body of the request that is being answered.
    pub(super) fn new(shared: &Rc<RefCell<Shared>>, idle_timeout: Option<Duration>) -> Self {
        let serial = shared.borrow().serial;
        let (deadline, timer) = (None, Timer::default());
        Self { shared: Rc::clone(shared), serial, idle_timeout, deadline, timer }
    }
}

impl BodyStream for RequestBody {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut shared = self.shared.borrow_mut();
        let shared = &mut *shared;
        if shared.serial != self.serial {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        }
        if shared.is_held {
            shared.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        if shared.owes_continue && shared.early_left > 0 {
            shared.owes_continue = false;
            // A client that sent some of it already needs no invitation.
            if shared.wire.input.is_empty() {
                shared.wire.output.text().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                shared.push();
            }
        }
        let polled = shared.receiver.poll_frame(&mut shared.wire, context);
        match &polled {
            Poll::Pending => {
                shared.reader = Some(context.waker().clone());
                let Some(timeout) = self.idle_timeout else { return Poll::Pending };
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + timeout);
                ready!(self.timer.poll(deadline, context));
                shared.receiver = Receiver::Failed(BodyError::Timeout);
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Frame::Data(data) = frame {
                    shared.received_bytes += data.len() as u64;
                }
            }
            Poll::Ready(Some(Err(BodyError::Broken))) => {
                shared.is_gone = true;
                shared.wake();
            }
            // The serving task waits for the end of a tunnel, and watches the client again.
            Poll::Ready(_) => shared.wake(),
        }
        self.deadline = None;
        polled
    }

    fn length(&self) -> Option<u64> {
        let shared = self.shared.borrow();
        if shared.is_held || shared.serial != self.serial {
            return None;
        }
        shared.receiver.length()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // Nobody wants what the client still sends through a tunnel.
        if let Ok(mut shared) = self.shared.try_borrow_mut()
            && shared.serial == self.serial
            && matches!(shared.receiver, Receiver::Close)
        {
            shared.receiver = Receiver::Done;
            shared.wake();
        }
    }
}
