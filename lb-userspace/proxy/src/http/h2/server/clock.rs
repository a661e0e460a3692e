//! When a client's connection has lasted long enough without anything happening on it.

use super::{super::limits::CLOSE_TIMEOUT, core::Core, farewell::Leaving};
use crate::drain::IDLE_GRACE;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep};

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nobody uses the connection.
    Unused,
    /// What the client sent before it was told to go has come.
    Told,
    /// A header does not come to its end.
    Slow,
    /// The client does not answer any more.
    Gone,
}

/// One timer for all that a connection waits for; it is set anew only when it fires, or when
/// something comes that is due earlier.
pub(super) struct Clock {
    timer: Pin<Box<Sleep>>,
    is_watched: bool,
    began: Instant,
    pinged: Option<Pinged>,
}

/// A PING without an answer.
struct Pinged {
    at: Instant,
    /// Frames that had come by then.
    frame_count: u64,
}

enum Due {
    Event(Event),
    Ping,
}

impl Clock {
    pub(super) fn new() -> Self {
        let began = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(began));
        Self { timer, is_watched: false, began, pinged: None }
    }

    /// The next event.
    pub(super) fn poll_event(&mut self, context: &mut Context<'_>, core: &mut Core) -> Poll<Event> {
        if core.leaving == Leaving::No && core.must_end {
            return Poll::Ready(Event::Unused);
        }
        self.take_pong(core);
        loop {
            let (deadline, due) = self.next(core);
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
                self.is_watched = false;
            }
            if std::mem::replace(&mut self.is_watched, true) {
                // It wakes this task, whatever that does meanwhile.
                return Poll::Pending;
            }
            ready!(self.timer.as_mut().poll(context));
            self.is_watched = false;
            if Instant::now() < deadline {
                continue;
            }
            match due {
                Due::Event(event) => return Poll::Ready(event),
                Due::Ping => self.ping(core),
            }
        }
    }

    /// What comes next if nothing else happens.
    fn next(&self, core: &Core) -> (Instant, Due) {
        let usual = self.next_usual(core);
        match core.leaving {
            Leaving::Said(since) if since + IDLE_GRACE <= usual.0 => {
                (since + IDLE_GRACE, Due::Event(Event::Told))
            }
            _ => usual,
        }
    }

    fn next_usual(&self, core: &Core) -> (Instant, Due) {
        let options = &core.options;
        let began = if core.meter.has_settings() { None } else { Some(self.began) };
        if let Some(began) = began.or_else(|| core.meter.block_began()) {
            return (began + options.header_timeout, Due::Event(Event::Slow));
        }
        let closing = match core.leaving {
            Leaving::No => None,
            Leaving::Said(since) | Leaving::Asked(since) | Leaving::Final(since) => Some(since),
            Leaving::Over => return (Instant::now(), Due::Event(Event::Gone)),
        };
        match (core.idle_since(), closing) {
            (Some(idle), Some(closing)) => {
                (idle.max(closing) + CLOSE_TIMEOUT, Due::Event(Event::Gone))
            }
            (Some(idle), None) => (idle + options.keep_alive_timeout, Due::Event(Event::Unused)),
            (None, _) => match &self.pinged {
                // A stream may be silent for long; the client is asked whether it is there.
                Some(pinged) => (pinged.at + options.header_timeout, Due::Event(Event::Gone)),
                None => (core.meter.last_read() + options.keep_alive_timeout, Due::Ping),
            },
        }
    }

    fn ping(&mut self, core: &mut Core) {
        core.ask();
        let frame_count = core.meter.frame_count();
        self.pinged = Some(Pinged { at: Instant::now(), frame_count });
    }

    fn take_pong(&mut self, core: &Core) {
        let Some(pinged) = &mut self.pinged else { return };
        if pinged.frame_count == core.meter.frame_count() {
            return;
        }
        // Whatever came, the client is there; the next PING has to wait for this one's answer.
        pinged.at = core.meter.last_read();
        pinged.frame_count = core.meter.frame_count();
        if core.has_pong {
            self.pinged = None;
        }
    }
}
