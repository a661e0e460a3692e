//! What came of many connections or exchanges.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Results of a run, by the backend that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Exchanges that succeeded, by the name the backend gave.
    pub per_backend: BTreeMap<String, u64>,
    /// Exchanges that succeeded, by the client's address as the backend saw it.
    pub per_seen_source: BTreeMap<IpAddr, u64>,
    /// Every exchange that succeeded, in no particular order.
    pub answers: Vec<Answer>,
    /// Exchanges that failed, in no particular order.
    pub failures: Vec<Failure>,
    /// All exchanges, the failed ones included.
    pub total: u64,
}

/// One exchange that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The client's side of it, if it got that far.
    pub local: Option<SocketAddr>,
    /// What was being done.
    pub step: &'static str,
    /// What went wrong.
    pub error: String,
}

/// One exchange that succeeded: who answered, and whom it thought to be answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The client's side of it.
    pub local: SocketAddr,
    /// The name the backend gave.
    pub backend: String,
    /// The client as the backend saw it; with full NAT that is the router.
    pub seen_source: SocketAddr,
}

impl Tally {
    /// Exchanges that succeeded.
    pub fn success_count(&self) -> u64 {
        self.per_backend.values().sum()
    }

    /// The share of the successful exchanges that went to a backend, 0 to 1.
    pub fn share(&self, backend: &str) -> f64 {
        let count = self.per_backend.get(backend).copied().unwrap_or(0);
        count as f64 / self.success_count().max(1) as f64
    }

    /// Adds the results of another run.
    pub fn merge(&mut self, other: Self) {
        for (backend, count) in other.per_backend {
            *self.per_backend.entry(backend).or_default() += count;
        }
        for (source, count) in other.per_seen_source {
            *self.per_seen_source.entry(source).or_default() += count;
        }
        self.answers.extend(other.answers);
        self.failures.extend(other.failures);
        self.total += other.total;
    }

    pub(super) fn add(&mut self, result: Result<Answer, Failure>) {
        self.total += 1;
        match result {
            Ok(answer) => {
                *self.per_backend.entry(answer.backend.clone()).or_default() += 1;
                *self.per_seen_source.entry(answer.seen_source.ip()).or_default() += 1;
                self.answers.push(answer);
            }
            Err(failure) => self.failures.push(failure),
        }
    }
}

impl Answer {
    /// Parses the server's first line, without its end: `NAME ADDRESS:PORT`.
    pub(super) fn parse(line: &[u8], local: SocketAddr) -> Result<Self, String> {
        let parsed = std::str::from_utf8(line).ok().and_then(|text| {
            let (backend, source) = text.split_once(' ')?;
            Some(Self { local, backend: backend.to_owned(), seen_source: source.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("not a greeting: {:?}", String::from_utf8_lossy(line)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => write!(out, "{local}: {}: {}", self.step, self.error),
            None => write!(out, "{}: {}", self.step, self.error),
        }
    }
}
