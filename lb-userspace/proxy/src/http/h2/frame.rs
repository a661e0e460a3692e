//! Frame heads (RFC 9113, section 4.1), as far as they are looked at before the library does.

use h2::Reason;

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// GOAWAY without an error that excludes no stream: the peer is to begin no more of them (RFC 9113,
/// section 6.8).
pub(super) const FAREWELL: [u8; 17] =
    [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A frame's head, without its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Bytes that follow.
    pub(super) length: u32,
    pub(super) kind: u8,
    flags: u8,
}

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, ..] = bytes;
        Self { length: u32::from_be_bytes([0, a, b, c]), kind, flags }
    }

    pub(super) fn is_ack(self) -> bool {
        self.flags & 1 != 0
    }

    pub(super) fn is_end_stream(self) -> bool {
        self.flags & 1 != 0
    }

    pub(super) fn is_end_headers(self) -> bool {
        self.flags & 4 != 0
    }

    /// Lengths that are errors, which the library tells by another code than the one that the
    /// frames' sections of RFC 9113 ask for.
    pub(super) fn check(self) -> Result<(), Reason> {
        let is_right = match self.kind {
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            PRIORITY => self.length == 5,
            SETTINGS if self.is_ack() => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            _ => true,
        };
        is_right.then_some(()).ok_or(Reason::FRAME_SIZE_ERROR)
    }
}
