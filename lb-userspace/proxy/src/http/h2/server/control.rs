//! Frames that carry no message: settings, windows, pings, resets and priorities.

use super::{
    super::frame::{self, ACK, FRAME_BYTES_MAX, Head, SETTINGS, STREAM_MAX},
    core::Core,
    farewell::{ASKED, FAREWELL},
    receive::number,
};
use h2::Reason;

impl Core {
    pub(super) fn priority(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        if number(payload) & STREAM_MAX != head.stream {
            return Ok(());
        }
        match self.find(head.stream).cloned() {
            Some(stream) => self.fail(&stream, Reason::PROTOCOL_ERROR),
            None => Err(Reason::PROTOCOL_ERROR),
        }
    }

    pub(super) fn rst_stream(&mut self, id: u32) -> Result<(), Reason> {
        if let Some(stream) = self.find(id).cloned() {
            self.abandon(&stream);
        } else if id > self.last_stream {
            return Err(Reason::PROTOCOL_ERROR);
        }
        Ok(())
    }

    pub(super) fn settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        if head.is_ack() {
            return Ok(());
        }
        let (values, _) = payload.as_chunks::<6>();
        let mut window = None;
        for [a, b, value @ ..] in values {
            let value = u32::from_be_bytes(*value);
            let is_right = match u16::from_be_bytes([*a, *b]) {
                frame::ENABLE_PUSH | frame::ENABLE_CONNECT_PROTOCOL => value <= 1,
                frame::MAX_FRAME_SIZE => (FRAME_BYTES_MAX..1 << 24).contains(&value),
                frame::INITIAL_WINDOW_SIZE if value > STREAM_MAX => {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                frame::INITIAL_WINDOW_SIZE => {
                    // The last one counts.
                    window = Some(value);
                    true
                }
                _ => true,
            };
            if !is_right {
                return Err(Reason::PROTOCOL_ERROR);
            }
        }
        frame::head(self.wire.output.text(), 0, SETTINGS, ACK, 0);
        window.map_or(Ok(()), |it| self.set_stream_window(it))
    }

    pub(super) fn ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let payload = *payload.first_chunk::<8>().ok_or(Reason::FRAME_SIZE_ERROR)?;
        match payload {
            _ if !head.is_ack() => frame::ping(self.wire.output.text(), ACK, payload),
            ASKED => self.has_pong = true,
            FAREWELL => self.leave_for_good(),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn window_update(&mut self, id: u32, increment: u32) -> Result<(), Reason> {
        let increment = i64::from(increment & STREAM_MAX);
        if id == 0 {
            self.send_window += increment;
            return match increment {
                0 => Err(Reason::PROTOCOL_ERROR),
                _ if self.send_window > i64::from(STREAM_MAX) => Err(Reason::FLOW_CONTROL_ERROR),
                _ => Ok(()),
            };
        }
        let Some(stream) = self.find(id).cloned() else {
            let is_idle = id > self.last_stream;
            return if is_idle { Err(Reason::PROTOCOL_ERROR) } else { Ok(()) };
        };
        let window = stream.state().sending.window + increment;
        if increment == 0 {
            return self.fail(&stream, Reason::PROTOCOL_ERROR);
        }
        if window > i64::from(STREAM_MAX) {
            return self.fail(&stream, Reason::FLOW_CONTROL_ERROR);
        }
        stream.state().sending.window = window;
        self.enqueue(&stream);
        Ok(())
    }
}
