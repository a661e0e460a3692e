//! Frames (RFC 9113, sections 4.1 and 6): heads that came, and frames to write.

use h2::Reason;

/// What a client says first (RFC 9113, section 3.4).
pub(in crate::http) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;
/// Bytes of the longest frame that either side may send to one that did not ask for longer ones.
pub(super) const FRAME_BYTES_MAX: u32 = 16_384;
/// The highest stream, which excludes none; and the largest window.
pub(super) const STREAM_MAX: u32 = 0x7fff_ffff;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

/// Settings (RFC 9113, section 6.5.2; RFC 8441, section 3).
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;
pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// A frame's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Bytes that follow.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = bytes;
        let stream = u32::from_be_bytes([d, e, f, g]) & STREAM_MAX;
        Self { length: u32::from_be_bytes([0, a, b, c]), kind, flags, stream }
    }

    pub(super) fn is_ack(self) -> bool {
        self.flags & ACK != 0
    }

    pub(super) fn is_end_stream(self) -> bool {
        self.flags & END_STREAM != 0
    }

    pub(super) fn is_end_headers(self) -> bool {
        self.flags & END_HEADERS != 0
    }

    pub(super) fn has_priority(self) -> bool {
        self.flags & WITH_PRIORITY != 0
    }

    /// The payload without its padding; `None` if there is more padding than payload.
    pub(super) fn without_padding(self, payload: &[u8]) -> Option<&[u8]> {
        if self.flags & PADDED == 0 {
            return Some(payload);
        }
        let (padding, rest) = payload.split_first()?;
        rest.get(..rest.len().checked_sub(usize::from(*padding))?)
    }

    /// Lengths that are errors of the connection.
    pub(super) fn check(self) -> Result<(), Reason> {
        let is_right = match self.kind {
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            PRIORITY => self.length == 5,
            SETTINGS if self.is_ack() => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            GOAWAY => self.length >= 8,
            _ => true,
        };
        is_right.then_some(()).ok_or(Reason::FRAME_SIZE_ERROR)
    }
}

/// Writes a head.
pub(super) fn head(output: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    output.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
}

/// Writes a frame whose payload is one number: `RST_STREAM`, `WINDOW_UPDATE`.
pub(super) fn number(output: &mut Vec<u8>, kind: u8, stream: u32, number: u32) {
    head(output, 4, kind, 0, stream);
    output.extend_from_slice(&number.to_be_bytes());
}

/// Writes SETTINGS.
pub(super) fn settings(output: &mut Vec<u8>, values: &[(u16, u32)]) {
    head(output, 6 * values.len(), SETTINGS, 0, 0);
    for (name, value) in values {
        output.extend_from_slice(&name.to_be_bytes());
        output.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes PING.
pub(super) fn ping(output: &mut Vec<u8>, flags: u8, payload: [u8; 8]) {
    head(output, 8, PING, flags, 0);
    output.extend_from_slice(&payload);
}

/// Writes GOAWAY.
pub(super) fn goaway(output: &mut Vec<u8>, last_stream: u32, reason: Reason) {
    head(output, 8, GOAWAY, 0, 0);
    output.extend_from_slice(&last_stream.to_be_bytes());
    output.extend_from_slice(&u32::from(reason).to_be_bytes());
}

/// Begins a header block; where it begins.
pub(super) fn begin_block(output: &mut Vec<u8>, stream: u32, is_last: bool) -> usize {
    let begin = output.len();
    head(output, 0, HEADERS, END_HEADERS | (u8::from(is_last) * END_STREAM), stream);
    begin
}

/// Ends the block that began there: its frame is told how long it is, or cut into several.
pub(super) fn end_block(output: &mut Vec<u8>, begin: usize) {
    let max = FRAME_BYTES_MAX as usize;
    let length = output.len().saturating_sub(begin + HEAD_BYTES);
    if length <= max {
        let [_, a, b, c] = (length as u32).to_be_bytes();
        if let Some(place) = output.get_mut(begin..begin + 3) {
            place.copy_from_slice(&[a, b, c]);
        }
        return;
    }
    let whole = output.split_off(begin);
    let Some((first, block)) = whole.split_first_chunk::<HEAD_BYTES>() else { return };
    let first = Head::parse(*first);
    let (mut kind, mut flags) = (HEADERS, first.flags & END_STREAM);
    let count = block.len().div_ceil(max);
    for (place, piece) in block.chunks(max).enumerate() {
        if place + 1 == count {
            flags |= END_HEADERS;
        }
        head(output, piece.len(), kind, flags, first.stream);
        output.extend_from_slice(piece);
        (kind, flags) = (CONTINUATION, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_if_it_is_too_long_for_a_frame() {
        for (length, kinds) in [(3, vec![(HEADERS, 5, 3)]), (16_384, vec![(HEADERS, 5, 16_384)])] {
            assert_eq!(cut(length), kinds);
        }
        let three = vec![(HEADERS, 1, 16_384), (CONTINUATION, 0, 16_384), (CONTINUATION, 4, 1)];
        assert_eq!(cut(2 * 16_384 + 1), three);
    }

    /// Kinds, flags and lengths of the frames that a block becomes.
    fn cut(length: usize) -> Vec<(u8, u8, u32)> {
        let mut output = b"before".to_vec();
        let begin = begin_block(&mut output, 7, true);
        output.extend(vec![b'x'; length]);
        end_block(&mut output, begin);
        let (mut rest, mut frames) = (&output[6..], Vec::new());
        while let Some((bytes, after)) = rest.split_first_chunk() {
            let head = Head::parse(*bytes);
            assert_eq!(head.stream, 7);
            frames.push((head.kind, head.flags, head.length));
            rest = &after[head.length as usize..];
        }
        frames
    }

    #[test]
    fn padding_is_taken_off_if_there_is_so_much() {
        let head = Head { length: 0, kind: DATA, flags: PADDED, stream: 1 };
        assert_eq!(head.without_padding(b"\x02ab\0\0"), Some(&b"ab"[..]));
        assert_eq!(head.without_padding(b"\x02\0\0"), Some(&b""[..]));
        assert_eq!(head.without_padding(b"\x03\0\0"), None);
        assert_eq!(head.without_padding(b""), None);
    }
}
