//! The cases of h2spec's generic, http2 and hpack lists. A case is named by its list, its section
//! there, and what it does.

mod frames;
mod generic;
mod messages;
mod streams;

/// A case: what is said, and what must follow.
#[derive(Clone, Debug)]
pub struct Case {
    /// List and section: `http2/5.1.2`.
    pub section: &'static str,
    /// What it does.
    pub name: &'static str,
    /// Whether prefaces and SETTINGS are exchanged before.
    pub has_handshake: bool,
    /// What is said, and what must follow before it goes on.
    pub rounds: Vec<(Said, Expected)>,
}

/// What a client says.
#[derive(Clone, Debug)]
pub enum Said {
    /// These bytes.
    Bytes(Vec<u8>),
    /// One request more than the server takes at once.
    TooManyStreams,
}

/// What must follow. Frames that neither fulfil nor contradict it are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// GOAWAY with one of these codes, or the connection's end.
    ConnectionError(Vec<u32>),
    /// RST_STREAM or GOAWAY with one of these codes, or the connection's end.
    StreamError(Vec<u32>),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with one of these codes; none = any.
    Goaway(Vec<u32>),
    /// The connection's end.
    Close,
    /// HEADERS.
    Headers,
    /// DATA.
    Data,
    /// DATA of so many bytes.
    DataOf(usize),
    /// The end of a stream, or of the connection.
    StreamEnd,
    /// SETTINGS, before anything else.
    Settings,
    /// SETTINGS with ACK.
    SettingsAck,
    /// PING with ACK and this payload.
    Pong([u8; 8]),
    /// The same, or the connection's end.
    PongOrClose([u8; 8]),
}

/// All cases.
pub fn all() -> Vec<Case> {
    [generic::cases(), frames::cases(), streams::cases(), messages::cases()].concat()
}

/// Says all of `said` after a handshake.
fn case(section: &'static str, name: &'static str, said: &[Vec<u8>], expected: Expected) -> Case {
    let rounds = vec![(Said::Bytes(said.concat()), expected)];
    Case { section, name, has_handshake: true, rounds }
}

impl Case {
    /// Without a handshake.
    fn raw(mut self) -> Self {
        self.has_handshake = false;
        self
    }

    /// And then.
    fn then(mut self, said: &[Vec<u8>], expected: Expected) -> Self {
        self.rounds.push((Said::Bytes(said.concat()), expected));
        self
    }
}
