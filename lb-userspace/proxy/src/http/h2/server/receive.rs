//! What a client sends, frame by frame.

use super::{
    super::{
        frame::{
            CONTINUATION, DATA, FRAME_BYTES_MAX, GOAWAY, HEAD_BYTES, HEADERS, Head, PING, PRIORITY,
            PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_MAX, WINDOW_UPDATE,
        },
        hpack::Name,
    },
    core::Core,
    farewell::Leaving,
    head::{Received, Refusal, RequestHead},
    stream::{Receiving, Stream},
};
use crate::http::{FieldName, Fields, Reason as Wrong, guard};
use h2::Reason;
use std::rc::Rc;

/// A header block that is read.
pub(super) struct Block {
    stream: u32,
    ends_stream: bool,
    depends_on_itself: bool,
    /// What came of it so far, if it is not all in one frame.
    bytes: Vec<u8>,
}

/// What became of a request's header.
pub(super) enum Begun {
    /// It is to be answered.
    Request(Rc<Stream>, Box<Received>),
    /// It is to be told why it is not; of what is told to a `HEAD` there is only the header.
    Refused { stream: Rc<Stream>, reason: Wrong, is_head: bool },
    /// Its stream was reset.
    Reset(Wrong),
}

impl Core {
    /// Handles the frames that are there; requests go to `begin`.
    ///
    /// # Errors
    /// Why the connection ends.
    pub(super) fn receive(&mut self, begin: &mut impl FnMut(Begun)) -> Result<(), Reason> {
        let input = std::mem::take(&mut self.wire.input);
        let mut rest = input.bytes();
        let done = self.frames(&mut rest, begin);
        let used = input.bytes().len() - rest.len();
        self.wire.input = input;
        self.wire.input.skip(used);
        done
    }

    fn frames(&mut self, rest: &mut &[u8], begin: &mut impl FnMut(Begun)) -> Result<(), Reason> {
        if !self.preface.is_empty() {
            let (came, after) = rest.split_at_checked(self.preface.len()).unwrap_or((rest, &[]));
            self.preface = self.preface.strip_prefix(came).ok_or(Reason::PROTOCOL_ERROR)?;
            *rest = after;
        }
        while !self.is_full()
            && let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>()
        {
            let head = Head::parse(*head);
            if head.length > FRAME_BYTES_MAX {
                return Err(Reason::FRAME_SIZE_ERROR);
            }
            let Some((payload, after)) = after.split_at_checked(head.length as usize) else {
                self.meter.awaits(head);
                return Ok(());
            };
            self.meter.frame(head)?;
            *rest = after;
            self.frame(head, payload, begin)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        head: Head,
        payload: &[u8],
        begin: &mut impl FnMut(Begun),
    ) -> Result<(), Reason> {
        if let Some(block) = &self.block
            && (head.kind != CONTINUATION || head.stream != block.stream)
        {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_of_connection = matches!(head.kind, SETTINGS | PING | GOAWAY);
        let is_of_stream = matches!(head.kind, DATA | HEADERS | PRIORITY | RST_STREAM);
        if (is_of_connection && head.stream != 0) || (is_of_stream && head.stream == 0) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        match head.kind {
            DATA => self.data(head, payload),
            HEADERS => self.headers_frame(head, payload, begin),
            CONTINUATION => self.continuation(head, payload, begin),
            PRIORITY => self.priority(head, payload),
            RST_STREAM => self.rst_stream(head.stream),
            SETTINGS => self.settings(head, payload),
            PING => self.ping(head, payload),
            WINDOW_UPDATE => self.window_update(head.stream, number(payload)),
            PUSH_PROMISE => Err(Reason::PROTOCOL_ERROR),
            // A client that goes says so by closing, when it has its responses.
            _ => Ok(()),
        }
    }

    /// A stream had to be given up because of the client.
    fn pay_reset(&self) -> Result<(), Reason> {
        self.meter.reset().then_some(()).ok_or(Reason::ENHANCE_YOUR_CALM)
    }

    pub(super) fn fail(&mut self, stream: &Rc<Stream>, reason: Reason) -> Result<(), Reason> {
        self.reset(stream, reason);
        self.pay_reset()
    }

    fn data(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let id = head.stream;
        if !self.arrived(head.length) {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        let bytes = head.without_padding(payload).ok_or(Reason::PROTOCOL_ERROR)?;
        let Some(stream) = self.find(id).cloned() else {
            self.taken(payload.len());
            if id > self.last_stream {
                return Err(Reason::PROTOCOL_ERROR);
            }
            if self.was_reset(id) {
                return Ok(());
            }
            self.refuse(id, Reason::STREAM_CLOSED);
            return self.pay_reset();
        };
        let wrong = {
            let mut state = stream.state();
            let receiving = &mut state.receiving;
            let window = receiving.window.checked_sub(head.length);
            receiving.window = window.unwrap_or_default();
            let left = receiving.left.map(|it| it.checked_sub(bytes.len() as u64));
            receiving.left = left.flatten();
            let is_wrong_length = left == Some(None)
                || (head.is_end_stream() && receiving.left.is_some_and(|it| it > 0));
            match window {
                _ if receiving.is_ended => Some(Reason::STREAM_CLOSED),
                None => Some(Reason::FLOW_CONTROL_ERROR),
                Some(_) if is_wrong_length => Some(Reason::PROTOCOL_ERROR),
                Some(_) => None,
            }
        };
        if let Some(reason) = wrong {
            self.taken(payload.len());
            return self.fail(&stream, reason);
        }
        if bytes.is_empty() && !payload.is_empty() && !head.is_end_stream() && !self.meter.useless()
        {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        self.keep(&stream, bytes, payload.len() - bytes.len(), head.is_end_stream());
        Ok(())
    }

    /// Keeps what came of a body, until somebody takes it.
    fn keep(&mut self, stream: &Rc<Stream>, bytes: &[u8], padding_bytes: usize, is_last: bool) {
        let mut state = stream.state();
        state.receiving.is_ended = is_last;
        if state.receiving.is_unwanted {
            self.taken(bytes.len() + padding_bytes);
        } else {
            state.receiving.bytes.extend_from_slice(bytes);
            if padding_bytes > 0 {
                self.taken_of(stream.id, &mut state, padding_bytes);
            }
        }
        if is_last || !bytes.is_empty() {
            state.receiving.wake();
        }
        self.settle(stream, &mut state);
    }

    fn headers_frame(
        &mut self,
        head: Head,
        payload: &[u8],
        begin: &mut impl FnMut(Begun),
    ) -> Result<(), Reason> {
        let mut payload = head.without_padding(payload).ok_or(Reason::PROTOCOL_ERROR)?;
        let mut block = Block {
            stream: head.stream,
            ends_stream: head.is_end_stream(),
            depends_on_itself: false,
            bytes: Vec::new(),
        };
        if head.has_priority() {
            let (priority, rest) =
                payload.split_first_chunk::<5>().ok_or(Reason::FRAME_SIZE_ERROR)?;
            block.depends_on_itself = number(priority) & STREAM_MAX == head.stream;
            payload = rest;
        }
        if head.is_end_headers() {
            return self.whole(&block, payload, begin);
        }
        block.bytes = payload.to_vec();
        self.block = Some(block);
        Ok(())
    }

    fn continuation(
        &mut self,
        head: Head,
        payload: &[u8],
        begin: &mut impl FnMut(Begun),
    ) -> Result<(), Reason> {
        let mut block = self.block.take().ok_or(Reason::PROTOCOL_ERROR)?;
        block.bytes.extend_from_slice(payload);
        if block.bytes.len() > self.header_list_bytes_max() as usize {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        if head.is_end_headers() {
            let bytes = std::mem::take(&mut block.bytes);
            return self.whole(&block, &bytes, begin);
        }
        self.block = Some(block);
        Ok(())
    }

    /// A whole header block: of a request, of trailers, or of a stream that is gone.
    fn whole(
        &mut self,
        block: &Block,
        bytes: &[u8],
        begin: &mut impl FnMut(Begun),
    ) -> Result<(), Reason> {
        let id = block.stream;
        if let Some(stream) = self.find(id).cloned() {
            return self.trailers(&stream, block, bytes);
        }
        if id > self.last_stream {
            return self.request(block, bytes, begin);
        }
        // Whatever becomes of it, later blocks depend on it.
        self.decoder.decode(bytes, |_| {}).map_err(|_| Reason::COMPRESSION_ERROR)?;
        if self.was_reset(id) {
            return self.pay_reset();
        }
        let has_ended = self.has_ended(id);
        Err(if has_ended { Reason::STREAM_CLOSED } else { Reason::PROTOCOL_ERROR })
    }

    fn request(
        &mut self,
        block: &Block,
        bytes: &[u8],
        begin: &mut impl FnMut(Begun),
    ) -> Result<(), Reason> {
        let id = block.stream;
        if id.is_multiple_of(2) {
            // Those are a server's (RFC 9113, section 5.1.1).
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_late = matches!(self.leaving, Leaving::Final(_));
        let mut head = RequestHead::new(&self.options, self.header_list_bytes_max());
        let decoded = self.decoder.decode(bytes, |it| head.take(it));
        decoded.map_err(|_| Reason::COMPRESSION_ERROR)?;
        let (is_bomb, is_head) = (head.is_bomb(), head.is_head());
        self.last_stream = id;
        if is_late || self.stream_count() >= self.options.streams_max as usize {
            self.refuse(id, Reason::REFUSED_STREAM);
            return self.pay_reset();
        }
        let ended = if block.depends_on_itself {
            Err(Refusal::Reset(Wrong::Malformed))
        } else {
            head.end(block.ends_stream)
        };
        if let Err(Refusal::Reset(reason)) = ended {
            self.refuse(id, Reason::PROTOCOL_ERROR);
            begin(Begun::Reset(reason));
            return self.pay_reset();
        }
        let left = ended.as_ref().ok().and_then(|it| it.length).filter(|_| !block.ends_stream);
        let receiving = Receiving { is_ended: block.ends_stream, left, ..Receiving::default() };
        let stream = self.open(id, receiving);
        match ended {
            Ok(received) => begin(Begun::Request(stream, received)),
            Err(Refusal::Answer(reason) | Refusal::Reset(reason)) => {
                begin(Begun::Refused { stream, reason, is_head });
            }
        }
        if is_bomb { self.pay_reset() } else { Ok(()) }
    }

    fn trailers(&mut self, stream: &Rc<Stream>, block: &Block, bytes: &[u8]) -> Result<(), Reason> {
        let mut left = self.options.header_bytes_max as usize;
        let mut fields = Fields::new();
        let mut is_malformed = !block.ends_stream || block.depends_on_itself;
        let decoded = self.decoder.decode(bytes, |it| {
            let Name::Field(known) = it.name else {
                is_malformed = true;
                return;
            };
            let size = it.text.len() + it.value.len() + 32;
            let name = FieldName::with_number(it.text, known);
            match left.checked_sub(size) {
                Some(rest) if it.is_valid && guard::is_trailer(name.known()) => {
                    left = rest;
                    fields.append(name, it.value);
                }
                Some(rest) => left = rest,
                None => is_malformed = true,
            }
        });
        decoded.map_err(|_| Reason::COMPRESSION_ERROR)?;
        let is_ended = stream.state().receiving.is_ended;
        is_malformed |= stream.state().receiving.left.is_some_and(|it| it > 0);
        if is_ended || is_malformed {
            let reason = if is_ended { Reason::STREAM_CLOSED } else { Reason::PROTOCOL_ERROR };
            return self.fail(stream, reason);
        }
        if !fields.is_empty() {
            stream.state().receiving.trailers = Some(Box::new(fields));
        }
        self.keep(stream, &[], 0, true);
        Ok(())
    }
}

/// The number that a payload begins with.
pub(super) fn number(payload: &[u8]) -> u32 {
    payload.first_chunk::<4>().map_or(0, |it| u32::from_be_bytes(*it))
}
