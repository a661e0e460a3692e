//! What a peer's frames cost, weighed against the work that they go with: PING, SETTINGS, PRIORITY,
//! WINDOW_UPDATE, CONTINUATION, empty DATA and unknown frames, and streams that are opened and reset.

use super::frame::{self, Head};
use h2::Reason;
use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// Frames without use that a peer may send at once. Envoy allows 1,000 answers to wait.
const FRAMES_MAX: u32 = 1_000;
/// Frames without use that it may send every second ever after.
const FRAMES_PER_SECOND: u32 = 20;
/// Frames that one that is of use may bring along: Envoy allows ten WINDOW_UPDATE frames for each
/// DATA frame sent, browsers send four at most.
const FRAMES_PER_USE: u32 = 4;
/// What a SETTINGS frame costs: it is answered, and may touch every stream.
const SETTINGS_COST: u32 = 10;
/// DATA frames of this size are of use.
const DATA_BYTES_MIN: u32 = 64;
/// Streams that a peer may reset, or make us reset, at once.
const RESETS_MAX: u32 = 100;
/// Streams that it may reset every second ever after, beside as many as were answered.
const RESETS_PER_SECOND: u32 = 5;

/// What is known about the frames of a connection. Shared by its reader, its task and its streams.
pub(super) struct Meter {
    is_server: bool,
    frames: Cell<Budget>,
    resets: Cell<Budget>,
    exceeded: Cell<Option<Reason>>,
    waker: RefCell<Option<Waker>>,
    has_settings: Cell<bool>,
    frame_count: Cell<u64>,
    last_read: Cell<Instant>,
    /// When a header block began that has not ended.
    block_began: Cell<Option<Instant>>,
}

/// Tokens that come back with time.
#[derive(Clone, Copy)]
struct Budget {
    left_milli: u64,
    max_milli: u64,
    per_second: u32,
    refilled: Instant,
}

impl Meter {
    pub(super) fn of_server() -> Self {
        Self::new(true)
    }

    pub(super) fn of_client() -> Self {
        Self::new(false)
    }

    fn new(is_server: bool) -> Self {
        let now = Instant::now();
        Self {
            is_server,
            frames: Cell::new(Budget::new(FRAMES_MAX, FRAMES_PER_SECOND, now)),
            resets: Cell::new(Budget::new(RESETS_MAX, RESETS_PER_SECOND, now)),
            exceeded: Cell::new(None),
            waker: RefCell::new(None),
            has_settings: Cell::new(false),
            frame_count: Cell::new(0),
            last_read: Cell::new(now),
            block_began: Cell::new(None),
        }
    }

    /// Bytes came.
    pub(super) fn read(&self) {
        self.last_read.set(Instant::now());
    }

    /// A frame's head came. Its error is the connection's.
    pub(super) fn frame(&self, head: Head) -> Result<(), Reason> {
        self.frame_count.set(self.frame_count.get() + 1);
        if !self.has_settings.replace(true) && (head.kind != frame::SETTINGS || head.is_ack()) {
            // RFC 9113, section 3.4.
            return Err(Reason::PROTOCOL_ERROR);
        }
        head.check()?;
        self.follow_block(head);
        let is_within = match head.kind {
            frame::DATA if head.length >= DATA_BYTES_MIN => self.earn(),
            frame::DATA if head.length > 0 || head.is_end_stream() => true,
            frame::HEADERS => self.earn(),
            frame::RST_STREAM if self.is_server => self.reset(),
            frame::SETTINGS if !head.is_ack() => self.pay(SETTINGS_COST),
            _ => self.pay(1),
        };
        is_within.then_some(()).ok_or(Reason::ENHANCE_YOUR_CALM)
    }

    /// A DATA frame was sent: the peer may well answer it.
    pub(super) fn sent_data(&self) {
        self.earn();
    }

    /// A response was sent completely.
    pub(super) fn answered(&self) {
        let mut budget = self.resets.get();
        budget.earn(1);
        self.resets.set(budget);
    }

    /// A stream was reset, by the peer or because of what it did; whether that is not too often.
    pub(super) fn reset(&self) -> bool {
        let mut budget = self.resets.get();
        let is_within = budget.pay(1, self.last_read.get());
        self.resets.set(budget);
        is_within
    }

    /// A frame that looked as if it were of use is not; whether that is not too often.
    pub(super) fn useless(&self) -> bool {
        self.pay(1)
    }

    /// The rest of a frame is to come.
    pub(super) fn awaits(&self, head: Head) {
        if matches!(head.kind, frame::HEADERS | frame::CONTINUATION) {
            let began = self.block_began.get().unwrap_or_else(|| self.last_read.get());
            self.block_began.set(Some(began));
        }
    }

    /// Ends the connection.
    pub(super) fn exceed(&self, reason: Reason) {
        self.exceeded.set(Some(reason));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether the connection is to end.
    pub(super) fn poll_exceeded(&self, context: &mut Context<'_>) -> Poll<Reason> {
        if let Some(reason) = self.exceeded.get() {
            return Poll::Ready(reason);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.get().is_some()
    }

    /// Whether the peer's first SETTINGS frame came.
    pub(super) fn has_settings(&self) -> bool {
        self.has_settings.get()
    }

    /// Frames that came so far.
    pub(super) fn frame_count(&self) -> u64 {
        self.frame_count.get()
    }

    /// When the last bytes came.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read.get()
    }

    /// When the header block began that has not ended.
    pub(super) fn block_began(&self) -> Option<Instant> {
        self.block_began.get()
    }

    fn follow_block(&self, head: Head) {
        if !matches!(head.kind, frame::HEADERS | frame::CONTINUATION) {
            return;
        }
        let began = self.block_began.get().unwrap_or_else(|| self.last_read.get());
        self.block_began.set((!head.is_end_headers()).then_some(began));
    }

    fn earn(&self) -> bool {
        let mut budget = self.frames.get();
        budget.earn(FRAMES_PER_USE);
        self.frames.set(budget);
        true
    }

    fn pay(&self, cost: u32) -> bool {
        let mut budget = self.frames.get();
        let is_within = budget.pay(cost, self.last_read.get());
        self.frames.set(budget);
        // An endpoint is chosen by whoever configures the proxy; only clients have a budget.
        is_within || !self.is_server
    }
}

impl Budget {
    fn new(max: u32, per_second: u32, now: Instant) -> Self {
        let max_milli = u64::from(max) * 1_000;
        Self { left_milli: max_milli, max_milli, per_second, refilled: now }
    }

    fn earn(&mut self, count: u32) {
        self.left_milli = (self.left_milli + u64::from(count) * 1_000).min(self.max_milli);
    }

    fn pay(&mut self, cost: u32, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).min(Duration::from_hours(1));
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or_default();
        if elapsed_ms > 0 {
            let earned = elapsed_ms * u64::from(self.per_second);
            self.left_milli = (self.left_milli + earned).min(self.max_milli);
            self.refilled = now;
        }
        let left = self.left_milli.checked_sub(u64::from(cost) * 1_000);
        self.left_milli = left.unwrap_or_default();
        left.is_some()
    }
}
