//! What a connection's task and its streams share: streams, windows, and what is to be written.

use super::{
    super::{
        frame::{self, DATA, END_STREAM, FRAME_BYTES_MAX, RST_STREAM, STREAM_MAX, WINDOW_UPDATE},
        hpack::{Decoder, Encoder},
        limits::{CONNECTION_WINDOW_BYTES, RESETS_REMEMBERED_MAX, STREAM_WINDOW_BYTES},
        meter::Meter,
    },
    farewell::Leaving,
    receive::Block,
    stream::{Receiving, State, Stream},
};
use crate::http::{BodyError, wire::Wire};
use bytes::{Buf, Bytes};
use h2::Reason;
use lb_model::HttpOptions;
use std::{collections::VecDeque, rc::Rc, sync::Arc, task::Waker};
use tokio::time::Instant;

/// Bytes to write beyond which bodies wait.
const ROOM_BYTES: usize = 32 * 1_024;
/// Bytes to write beyond which nothing more is read: whatever is asked has to wait.
const OUTPUT_BYTES_MAX: usize = 64 * 1_024;
/// Streams that ended whose numbers are remembered, to tell what is wrong with late frames.
const ENDS_REMEMBERED_MAX: usize = 16;
/// Windows before anything was said about them (RFC 9113, section 6.9.2).
const WINDOW_DEFAULT: i64 = 65_535;

/// A connection.
pub(super) struct Core {
    pub(super) wire: Wire,
    pub(super) meter: Meter,
    pub(super) options: Arc<HttpOptions>,
    pub(super) decoder: Decoder,
    encoder: Encoder,
    /// What is left of the preface that a client begins with.
    pub(super) preface: &'static [u8],
    /// The header block that has not ended.
    pub(super) block: Option<Block>,
    /// By their numbers.
    streams: Vec<Rc<Stream>>,
    pub(super) last_stream: u32,
    resets: VecDeque<u32>,
    ends: VecDeque<u32>,
    idle_since: Instant,
    /// Bytes that the client may still send, and those taken that it does not know of yet.
    receive_window: u32,
    taken: u32,
    /// Bytes that it may be sent, on the connection and on a new stream.
    pub(super) send_window: i64,
    pub(super) stream_window: i64,
    /// Streams that have something to say and may, in turns.
    queue: VecDeque<Rc<Stream>>,
    pub(super) leaving: Leaving,
    /// The client answered the PING.
    pub(super) has_pong: bool,
    /// A response closes the connection.
    pub(super) must_end: bool,
    /// The connection's task.
    task: Option<Waker>,
}

impl Core {
    pub(super) fn new(wire: Wire, options: Arc<HttpOptions>) -> Self {
        let mut core = Self {
            wire,
            meter: Meter::of_server(),
            options,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            preface: frame::PREFACE,
            block: None,
            streams: Vec::new(),
            last_stream: 0,
            resets: VecDeque::new(),
            ends: VecDeque::new(),
            idle_since: Instant::now(),
            receive_window: CONNECTION_WINDOW_BYTES,
            taken: 0,
            send_window: WINDOW_DEFAULT,
            stream_window: WINDOW_DEFAULT,
            queue: VecDeque::new(),
            leaving: Leaving::No,
            has_pong: false,
            must_end: false,
            task: None,
        };
        core.greet();
        core
    }

    fn greet(&mut self) {
        let values = [
            (frame::MAX_CONCURRENT_STREAMS, self.options.streams_max),
            (frame::INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES),
            (frame::MAX_HEADER_LIST_SIZE, self.header_list_bytes_max()),
            (frame::ENABLE_CONNECT_PROTOCOL, 1),
        ];
        let output = self.wire.output.text();
        frame::settings(output, &values);
        let more = CONNECTION_WINDOW_BYTES - WINDOW_DEFAULT as u32;
        frame::number(output, WINDOW_UPDATE, 0, more);
    }

    /// The listener's limit is checked where it can be accounted for; what is far beyond it is not
    /// even kept.
    pub(super) fn header_list_bytes_max(&self) -> u32 {
        self.options.header_bytes_max.saturating_mul(2)
    }

    /// Remembers the connection's task.
    pub(super) fn remember(&mut self, waker: &Waker) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }

    /// Wakes the connection's task: there is something to write, or to think about.
    pub(super) fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    // Streams.

    pub(super) fn find(&self, id: u32) -> Option<&Rc<Stream>> {
        let place = self.streams.binary_search_by_key(&id, |it| it.id).ok()?;
        self.streams.get(place)
    }

    /// Begins a stream, which is above all that there were.
    pub(super) fn open(&mut self, id: u32, receiving: Receiving) -> Rc<Stream> {
        let receiving = Receiving { window: STREAM_WINDOW_BYTES, ..receiving };
        let stream = Rc::new(Stream::new(id, self.stream_window, receiving));
        self.streams.push(Rc::clone(&stream));
        stream
    }

    pub(super) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Since when there is no stream; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.streams.is_empty().then_some(self.idle_since)
    }

    /// Whether frames of a stream that is gone may still be on their way.
    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// Whether a stream is known to have ended.
    pub(super) fn has_ended(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// The client gave a stream up.
    pub(super) fn abandon(&mut self, stream: &Rc<Stream>) {
        let lost = stream.state().give_up(BodyError::Broken);
        self.taken(lost);
        note(&mut self.ends, stream.id, ENDS_REMEMBERED_MAX);
        self.forget(stream);
    }

    /// Gives a stream up, if there is anything left of it, and says so.
    pub(super) fn reset(&mut self, stream: &Rc<Stream>, reason: Reason) {
        if stream.state().is_closed {
            return;
        }
        let is_wrong =
            !matches!(reason, Reason::NO_ERROR | Reason::CANCEL | Reason::INTERNAL_ERROR);
        let error = if is_wrong { BodyError::Malformed } else { BodyError::Broken };
        let lost = stream.state().give_up(error);
        self.taken(lost);
        self.forget(stream);
        self.refuse(stream.id, reason);
    }

    /// Says that nothing will come of a stream.
    pub(super) fn refuse(&mut self, id: u32, reason: Reason) {
        note(&mut self.resets, id, RESETS_REMEMBERED_MAX);
        frame::number(self.wire.output.text(), RST_STREAM, id, reason.into());
        self.wake();
    }

    /// Closes a stream if both sides have said all.
    pub(super) fn settle(&mut self, stream: &Rc<Stream>, state: &mut State) {
        if state.is_done() && !state.is_closed {
            state.is_closed = true;
            note(&mut self.ends, stream.id, ENDS_REMEMBERED_MAX);
            self.forget(stream);
        }
    }

    fn forget(&mut self, stream: &Rc<Stream>) {
        if let Ok(place) = self.streams.binary_search_by_key(&stream.id, |it| it.id) {
            self.streams.remove(place);
        }
        if !self.queue.is_empty() {
            self.queue.retain(|it| it.id != stream.id);
        }
        if self.streams.is_empty() {
            self.idle_since = Instant::now();
            self.wake();
        }
    }

    /// One that cared for the stream is gone.
    pub(super) fn release(&mut self, stream: &Rc<Stream>) {
        let is_last = {
            let mut state = stream.state();
            state.holder_count -= 1;
            state.holder_count == 0
        };
        if is_last {
            // A response that is whole needs no more of the request (RFC 9113, section 8.1).
            let is_ended = stream.state().sending.is_ended;
            self.reset(stream, if is_ended { Reason::NO_ERROR } else { Reason::CANCEL });
        }
    }

    /// The connection is over: so is everything on it.
    pub(super) fn end(&mut self) {
        self.leaving = Leaving::Over;
        self.queue.clear();
        for stream in std::mem::take(&mut self.streams) {
            stream.state().give_up(BodyError::Broken);
        }
    }

    // What comes.

    /// So many bytes of DATA came; whether they were allowed to.
    pub(super) fn arrived(&mut self, count: u32) -> bool {
        let left = self.receive_window.checked_sub(count);
        self.receive_window = left.unwrap_or_default();
        left.is_some()
    }

    /// So many bytes make room for others.
    pub(super) fn taken(&mut self, count: usize) {
        self.taken += count as u32;
        if self.taken >= CONNECTION_WINDOW_BYTES / 2 && self.leaving != Leaving::Over {
            self.receive_window += self.taken;
            frame::number(self.wire.output.text(), WINDOW_UPDATE, 0, self.taken);
            self.taken = 0;
            self.wake();
        }
    }

    /// So many bytes of a stream do.
    pub(super) fn taken_of(&mut self, id: u32, state: &mut State, count: usize) {
        self.taken(count);
        let receiving = &mut state.receiving;
        receiving.taken += count as u32;
        if receiving.taken >= STREAM_WINDOW_BYTES / 2 && !receiving.is_ended && !state.is_closed {
            receiving.window += receiving.taken;
            frame::number(self.wire.output.text(), WINDOW_UPDATE, id, receiving.taken);
            receiving.taken = 0;
            self.wake();
        }
    }

    // What goes.

    /// Whether there is so much to write that nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.wire.output.text_bytes() > OUTPUT_BYTES_MAX
    }

    /// Writes a header block; `write` its fields.
    pub(super) fn headers(
        &mut self,
        stream: &Rc<Stream>,
        is_last: bool,
        write: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) {
        let mut state = stream.state();
        if state.is_closed {
            return;
        }
        let output = self.wire.output.text();
        let begin = frame::begin_block(output, stream.id, is_last);
        self.encoder.begin(output);
        write(&mut self.encoder, output);
        frame::end_block(output, begin);
        if is_last {
            state.sending.is_ended = true;
            self.settle(stream, &mut state);
        }
        self.wake();
    }

    /// Sends `bytes` as windows and room allow.
    pub(super) fn send(&mut self, stream: &Rc<Stream>, bytes: Bytes, is_last: bool) {
        {
            let mut state = stream.state();
            if state.is_closed {
                return;
            }
            if bytes.is_empty() {
                if is_last {
                    frame::head(self.wire.output.text(), 0, DATA, END_STREAM, stream.id);
                    state.sending.is_ended = true;
                    self.settle(stream, &mut state);
                    self.wake();
                }
                return;
            }
            (state.sending.pending, state.sending.is_last) = (bytes, is_last);
        }
        self.enqueue(stream);
        self.pump();
        self.wake();
    }

    /// Lets a stream take its turns if it has something to say and may.
    pub(super) fn enqueue(&mut self, stream: &Rc<Stream>) {
        let mut state = stream.state();
        let sending = &mut state.sending;
        if !sending.pending.is_empty() && sending.window > 0 && !sending.is_queued {
            sending.is_queued = true;
            self.queue.push_back(Rc::clone(stream));
        }
    }

    /// Has streams put a frame each, in turns, as far as the window and room go; whether any did.
    pub(super) fn pump(&mut self) -> bool {
        let mut has_put = false;
        while self.send_window > 0 && self.wire.output.text_bytes() < ROOM_BYTES {
            let Some(stream) = self.queue.pop_front() else { break };
            self.put(&stream);
            self.enqueue(&stream);
            has_put = true;
        }
        has_put
    }

    fn put(&mut self, stream: &Rc<Stream>) {
        let mut state = stream.state();
        let sending = &mut state.sending;
        sending.is_queued = false;
        let window = sending.window.min(self.send_window).clamp(0, i64::from(FRAME_BYTES_MAX));
        let length = u32::try_from(sending.pending.len())
            .unwrap_or(u32::MAX)
            .min(u32::try_from(window).unwrap_or_default());
        let count = length as usize;
        if count == 0 {
            return;
        }
        let is_last = sending.is_last && count == sending.pending.len();
        let output = self.wire.output.text();
        frame::head(output, count, DATA, u8::from(is_last) * END_STREAM, stream.id);
        output.extend_from_slice(sending.pending.get(..count).unwrap_or_default());
        sending.pending.advance(count);
        sending.window -= i64::from(length);
        self.send_window -= i64::from(length);
        sending.sent_bytes += count as u64;
        self.meter.sent_data();
        if sending.pending.is_empty() {
            // The allocation goes with the last byte.
            sending.pending = Bytes::new();
        }
        sending.is_ended = is_last;
        state.wake_task();
        self.settle(stream, &mut state);
    }

    /// The client's limit for every stream changed.
    pub(super) fn set_stream_window(&mut self, window: u32) -> Result<(), Reason> {
        let change = i64::from(window) - self.stream_window;
        self.stream_window = i64::from(window);
        for stream in self.streams.clone() {
            let grown = stream.state().sending.window + change;
            if grown > i64::from(STREAM_MAX) {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            stream.state().sending.window = grown;
            self.enqueue(&stream);
        }
        Ok(())
    }
}

/// Remembers a stream, and forgets the oldest.
fn note(all: &mut VecDeque<u32>, id: u32, max: usize) {
    if all.len() >= max {
        all.pop_front();
    }
    all.push_back(id);
}
