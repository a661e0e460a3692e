//! A client that says exactly what it is told to, and one case run by it.

use super::{
    cases::{Case, Expected, Said},
    frames::{
        ACK, DATA, END_STREAM, Frame, GOAWAY, HEADERS, MAX_CONCURRENT_STREAMS, PING, PREFACE,
        RST_STREAM, SETTINGS, frame, headers, settings,
    },
    hpack,
};
use std::{fmt, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// How long a server may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest frame that a server may send to a client that did not ask for longer ones.
const FRAME_BYTES_MAX: usize = 16_384;

/// Streams opened to a server that does not say how many it takes.
const STREAMS_OPENED_MAX: u32 = 1_000;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Exact,
    /// The connection was closed where a certain error was expected; that is allowed (RFC 9113,
    /// section 5.4.1).
    Closed,
    /// Anything else.
    Failed,
}

/// What a case's run brought.
#[derive(Debug)]
pub struct Report {
    /// The verdict.
    pub outcome: Outcome,
    /// What the server sent after the handshake.
    pub seen: Vec<Event>,
}

/// What comes from a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame.
    Frame(Frame),
    /// The end of the connection.
    Closed,
    /// Nothing for too long.
    Nothing,
}

/// A client without a mind of its own.
pub struct Probe<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// What the server's first SETTINGS say.
    settings: Vec<(u16, u32)>,
}

/// Runs a case on a fresh connection.
pub async fn run<S: AsyncRead + AsyncWrite>(case: &Case, stream: S) -> Report {
    let mut probe = Probe::new(stream);
    let mut seen = Vec::new();
    if case.has_handshake && !probe.handshake().await {
        return Report { outcome: Outcome::Failed, seen };
    }
    let mut outcome = Outcome::Failed;
    for (said, expected) in &case.rounds {
        match said {
            Said::Bytes(bytes) => probe.send(bytes).await,
            Said::TooManyStreams => {
                let max = probe.setting(MAX_CONCURRENT_STREAMS).unwrap_or(STREAMS_OPENED_MAX);
                probe.send(&streams(max.min(STREAMS_OPENED_MAX) + 1)).await;
            }
        }
        outcome = probe.wait(expected, &mut seen).await;
        if outcome == Outcome::Failed {
            break;
        }
    }
    Report { outcome, seen }
}

/// Requests on as many streams.
fn streams(count: u32) -> Vec<u8> {
    let block = hpack::block(&hpack::GET);
    (0..count).flat_map(|it| headers(END_STREAM, 2 * it + 1, &block)).collect()
}

impl<S: AsyncRead + AsyncWrite> Probe<S> {
    /// On this connection.
    pub fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, settings: Vec::new() }
    }

    /// Both sides' prefaces and SETTINGS, acknowledged; whether it went well.
    pub async fn handshake(&mut self) -> bool {
        self.send(&[PREFACE, &settings(&[])].concat()).await;
        let (mut has_settings, mut has_ack) = (false, false);
        while !(has_settings && has_ack) {
            match self.event().await {
                Event::Frame(it) if it.kind == SETTINGS && it.flags & ACK != 0 => has_ack = true,
                Event::Frame(it) if it.kind == SETTINGS => {
                    has_settings = true;
                    self.settings = it.payload.chunks_exact(6).map(setting).collect();
                    self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                }
                Event::Frame(_) => {}
                Event::Closed | Event::Nothing => return false,
            }
        }
        true
    }

    /// Sends bytes; that the server does not want them any more shows later.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        drop(tokio::time::timeout(PATIENCE, sent).await);
    }

    /// Sends what `next` makes, up to `count` times and as long as the server takes it, while all
    /// that the server says is read: how often it was sent, and what was said.
    pub async fn flood(
        &mut self,
        count: u32,
        mut next: impl FnMut(u32) -> Vec<u8>,
    ) -> (u32, Vec<Event>) {
        let Self { reader, writer, .. } = self;
        let send = async {
            for round in 0..count {
                let bytes = next(round);
                let sent = writer.write_all(&bytes);
                if !matches!(tokio::time::timeout(PATIENCE, sent).await, Ok(Ok(()))) {
                    return round;
                }
                tokio::task::yield_now().await;
            }
            count
        };
        let read = async {
            let mut seen = Vec::new();
            loop {
                let event = event(reader).await;
                seen.push(event.clone());
                if !matches!(event, Event::Frame(_)) {
                    return seen;
                }
            }
        };
        tokio::join!(send, read)
    }

    /// What comes next.
    pub async fn event(&mut self) -> Event {
        event(&mut self.reader).await
    }

    /// Value of a setting of the server's.
    fn setting(&self, name: u16) -> Option<u32> {
        self.settings.iter().find(|(it, _)| *it == name).map(|(_, value)| *value)
    }

    /// Waits for what is expected, or for what makes it impossible.
    async fn wait(&mut self, expected: &Expected, seen: &mut Vec<Event>) -> Outcome {
        loop {
            let event = self.event().await;
            seen.push(event.clone());
            let outcome = expected.judge(&event);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

async fn event(reader: &mut (impl AsyncRead + Unpin)) -> Event {
    match tokio::time::timeout(PATIENCE, read_frame(reader)).await {
        Ok(Some(frame)) => Event::Frame(frame),
        Ok(None) => Event::Closed,
        Err(_) => Event::Nothing,
    }
}

async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, d, e, f, g] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if length > FRAME_BYTES_MAX {
        return None;
    }
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload })
}

impl Expected {
    /// The verdict after an event; `None` if more has to be seen.
    fn judge(&self, event: &Event) -> Option<Outcome> {
        let frame = match event {
            Event::Nothing => return Some(Outcome::Failed),
            Event::Closed => return Some(self.judge_close()),
            Event::Frame(frame) => frame,
        };
        let is_code = |codes: &[u32]| frame.code().is_some_and(|it| codes.contains(&it));
        let is_exact = match self {
            Self::ConnectionError(codes) => frame.kind == GOAWAY && is_code(codes),
            Self::StreamError(codes) => matches!(frame.kind, GOAWAY | RST_STREAM) && is_code(codes),
            Self::Reset(code) => {
                if frame.kind == RST_STREAM && !is_code(&[*code]) {
                    return Some(Outcome::Failed);
                }
                frame.kind == RST_STREAM
            }
            Self::Goaway(codes) => frame.kind == GOAWAY && (codes.is_empty() || is_code(codes)),
            Self::Close => false,
            Self::Headers => frame.kind == HEADERS,
            Self::Data => frame.kind == DATA,
            Self::DataOf(length) => {
                if frame.kind == DATA && frame.payload.len() != *length {
                    return Some(Outcome::Failed);
                }
                frame.kind == DATA
            }
            Self::StreamEnd => frame.ends_stream(),
            Self::Settings => {
                // It must be the first.
                let is_right = frame.kind == SETTINGS && frame.flags & ACK == 0;
                return Some(if is_right { Outcome::Exact } else { Outcome::Failed });
            }
            Self::SettingsAck => frame.kind == SETTINGS && frame.flags & ACK != 0,
            Self::Pong(payload) | Self::PongOrClose(payload) => {
                frame.kind == PING && frame.flags & ACK != 0 && frame.payload == payload
            }
        };
        is_exact.then_some(Outcome::Exact)
    }

    fn judge_close(&self) -> Outcome {
        match self {
            Self::ConnectionError(_) | Self::StreamError(_) | Self::StreamEnd => Outcome::Closed,
            Self::Close | Self::PongOrClose(_) => Outcome::Exact,
            _ => Outcome::Failed,
        }
    }
}

fn setting(bytes: &[u8]) -> (u16, u32) {
    match bytes {
        [a, b, c, d, e, f] => (u16::from_be_bytes([*a, *b]), u32::from_be_bytes([*c, *d, *e, *f])),
        _ => (0, 0),
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Nothing => f.write_str("nothing"),
            Self::Frame(it) => {
                let (kind, stream, bytes) = (it.kind, it.stream, it.payload.len());
                write!(f, "frame {kind} on {stream} ({bytes} bytes, code {:?})", it.code())
            }
        }
    }
}
