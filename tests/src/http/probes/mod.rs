//! Probes of HTTP/1: bytes that a client sends on one connection, and what has to come of them.
//! Each is what RFC 9110 or RFC 9112 demands, or the stricter of two readings where leniency made
//! request smuggling possible.

mod body;
mod connection;
mod head;

/// What a probe is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A rule that every server has to keep.
    Compliance,
    /// Framing or routing that two servers could understand differently.
    Smuggling,
    /// Bytes that are no HTTP at all, or too much of it.
    Malformed,
}

/// What has to come of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// So many requests reach the origin, each is answered, and the connection takes another one.
    Served(usize),
    /// So many requests reach the origin, each is answered, and the connection ends.
    ServedThenClosed(usize),
    /// So many requests reach the origin; then comes a response with one of these statuses (ours
    /// is the first), and the connection ends.
    Refused(usize, &'static [u16]),
    /// It is no complete request: nothing reaches the origin however long it waits, and the
    /// connection ends with one of these statuses or without.
    Unfinished(&'static [u16]),
}

/// Bytes that a client sends, and what has to come of them.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Unique name.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What has to come of it.
    pub expected: Expected,
}

const BAD: &[u16] = &[400];
const BAD_OR_UNKNOWN: &[u16] = &[400, 501];
const UNKNOWN_OR_BAD: &[u16] = &[501, 400];
const VERSION: &[u16] = &[505, 400];
const LONG_TARGET: &[u16] = &[414, 431, 400];
const LONG_HEADER: &[u16] = &[431, 400];
const LATE: &[u16] = &[408, 400];
const EXPECTATION: &[u16] = &[417, 400];

/// Bytes of a head that no server takes.
const TOO_MUCH: usize = 300_000;

/// All probes. Names are unique.
pub fn all() -> Vec<Probe> {
    let tables = [
        head::lines(),
        head::hosts(),
        head::fields(),
        body::lengths(),
        body::codings(),
        body::chunks(),
        body::trailers(),
        connection::rest(),
    ];
    tables.into_iter().flatten().collect()
}

fn row(name: &'static str, class: Class, bytes: impl AsRef<[u8]>, expected: Expected) -> Probe {
    Probe { name, class, bytes: bytes.as_ref().to_vec(), expected }
}
