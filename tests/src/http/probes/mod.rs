//! Probes of HTTP/1: bytes that a client sends on one connection, and what has to come of them.
//! Each names the section it comes from. Where that leaves a choice, what is expected is the stricter
//! reading, because leniency made request smuggling possible; others may choose differently as long
//! as nobody behind them can be confused.

mod chunk;
mod coding;
mod connection;
mod field;
mod host;
mod length;
mod line;
mod trailer;

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

/// How much of what is expected the standard demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// All of it (MUST), or what follows from the grammar alone.
    Must,
    /// It recommends it or leaves it open (SHOULD, MAY).
    May,
    /// It leaves it open, but the connection must end.
    MustClose,
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
    /// How much of that is demanded.
    pub demand: Demand,
    /// The section it comes from.
    pub source: &'static str,
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
    [
        line::probes(),
        host::probes(),
        field::probes(),
        length::probes(),
        coding::probes(),
        chunk::probes(),
        trailer::probes(),
        connection::probes(),
    ]
    .concat()
}

fn row(name: &'static str, class: Class, bytes: impl AsRef<[u8]>, expected: Expected) -> Row {
    Row { name, class, bytes: bytes.as_ref().to_vec(), expected }
}

/// A probe before its demand is told.
struct Row {
    name: &'static str,
    class: Class,
    bytes: Vec<u8>,
    expected: Expected,
}

fn must(source: &'static str, rows: Vec<Row>) -> Vec<Probe> {
    demand(Demand::Must, source, rows)
}

fn may(source: &'static str, rows: Vec<Row>) -> Vec<Probe> {
    demand(Demand::May, source, rows)
}

fn must_close(source: &'static str, rows: Vec<Row>) -> Vec<Probe> {
    demand(Demand::MustClose, source, rows)
}

fn demand(demand: Demand, source: &'static str, rows: Vec<Row>) -> Vec<Probe> {
    let probe = |Row { name, class, bytes, expected }| Probe {
        name,
        class,
        bytes,
        expected,
        demand,
        source,
    };
    rows.into_iter().map(probe).collect()
}
