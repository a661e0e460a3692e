//! How a connection is asked whether it lives, and how it is told to end.

use super::super::frame::STREAM_MAX;
use super::{super::frame, core::Core};
use h2::Reason;
use tokio::time::Instant;

/// What the PINGs say by which a client is asked whether it is there, and whether it heard the
/// farewell.
pub(super) const ASKED: [u8; 8] = *b"lb-there";
pub(super) const FAREWELL: [u8; 8] = *b"lb-leave";

/// How far the farewell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// The client knows that it is to begin no more streams.
    Said(Instant),
    /// It was asked whether it has heard it.
    Asked(Instant),
    /// It has: no stream but those there are.
    Final(Instant),
    /// Nothing is written any more.
    Over,
}

impl Core {
    /// No new streams, please.
    pub(super) fn end_soon(&mut self) {
        self.must_end = true;
        self.wake();
    }

    /// Tells the client to begin no more streams. None is excluded: some are on their way.
    pub(super) fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Said(Instant::now());
            frame::goaway(self.wire.output.text(), STREAM_MAX, Reason::NO_ERROR);
            self.wake();
        }
    }

    /// Says so again, and asks whether the client has heard it.
    pub(super) fn ask_to_leave(&mut self) {
        if let Leaving::Said(since) = self.leaving {
            self.leaving = Leaving::Asked(since);
            let output = self.wire.output.text();
            frame::goaway(output, STREAM_MAX, Reason::NO_ERROR);
            frame::ping(output, 0, FAREWELL);
        }
    }

    /// Asks the client whether it is there.
    pub(super) fn ask(&mut self) {
        self.has_pong = false;
        frame::ping(self.wire.output.text(), 0, ASKED);
        self.wake();
    }

    /// It has: the last stream is named.
    pub(super) fn leave_for_good(&mut self) {
        if let Leaving::Asked(since) = self.leaving {
            self.leaving = Leaving::Final(since);
            frame::goaway(self.wire.output.text(), self.last_stream, Reason::NO_ERROR);
        }
    }
}
