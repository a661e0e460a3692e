//! When a client's connection has lasted long enough without anything happening on it.

use super::{limits::CLOSE_TIMEOUT, meter::Meter, server::Shared};
use crate::drain::IDLE_GRACE;
use h2::{Ping, PingPong};
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
    pings: Option<PingPong>,
    pinged: Option<Pinged>,
    closing_since: Option<Instant>,
    is_told: bool,
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
    pub(super) fn new(pings: Option<PingPong>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        Self { timer, pings, pinged: None, closing_since: None, is_told: false }
    }

    /// The next event.
    pub(super) fn poll_event<S>(
        &mut self,
        context: &mut Context<'_>,
        shared: &Shared<S>,
    ) -> Poll<Event> {
        shared.streams.watch(context.waker());
        if shared.meter.is_leaving() {
            self.closing_since.get_or_insert_with(Instant::now);
        } else if shared.streams.must_end() {
            return Poll::Ready(Event::Unused);
        }
        self.take_pong(context, &shared.meter);
        loop {
            let (deadline, due) = self.next(shared);
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() < deadline {
                continue;
            }
            match due {
                Due::Event(event) => {
                    self.is_told |= event == Event::Told;
                    return Poll::Ready(event);
                }
                Due::Ping => self.ping(&shared.meter),
            }
        }
    }

    /// What comes next if nothing else happens.
    fn next<S>(&self, shared: &Shared<S>) -> (Instant, Due) {
        let told = self.closing_since.filter(|_| !self.is_told).map(|it| it + IDLE_GRACE);
        let (deadline, due) = self.next_usual(shared);
        match told {
            Some(told) if told <= deadline => (told, Due::Event(Event::Told)),
            _ => (deadline, due),
        }
    }

    fn next_usual<S>(&self, shared: &Shared<S>) -> (Instant, Due) {
        let options = &shared.options;
        if let Some(began) = shared.meter.block_began() {
            return (began + options.header_timeout, Due::Event(Event::Slow));
        }
        match (shared.streams.idle_since(), self.closing_since) {
            (Some(idle), Some(closing)) => {
                (idle.max(closing) + CLOSE_TIMEOUT, Due::Event(Event::Gone))
            }
            (Some(idle), None) => (idle + options.keep_alive_timeout, Due::Event(Event::Unused)),
            (None, _) => match &self.pinged {
                // A stream may be silent for long; the client is asked whether it is there.
                Some(pinged) => (pinged.at + options.header_timeout, Due::Event(Event::Gone)),
                None => (shared.meter.last_read() + options.keep_alive_timeout, Due::Ping),
            },
        }
    }

    fn ping(&mut self, meter: &Meter) {
        if let Some(pings) = &mut self.pings {
            // Fails only if the connection is over.
            pings.send_ping(Ping::opaque()).ok();
        }
        self.pinged = Some(Pinged { at: Instant::now(), frame_count: meter.frame_count() });
    }

    fn take_pong(&mut self, context: &mut Context<'_>, meter: &Meter) {
        let Some(pinged) = &mut self.pinged else { return };
        if pinged.frame_count == meter.frame_count() {
            return;
        }
        // Whatever came, the client is there; the next PING has to wait for this one's answer.
        pinged.at = meter.last_read();
        pinged.frame_count = meter.frame_count();
        if self.pings.as_mut().is_none_or(|it| it.poll_pong(context).is_ready()) {
            self.pinged = None;
        }
    }
}
