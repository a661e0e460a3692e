//! TCP segments that a host sent more than once: what packet loss looks like from TCP.

use std::fs;
use std::ops::Sub;

use anyhow::{Context, Result};

/// Counters of one network namespace, or the difference of two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retransmits {
    /// Segments sent again.
    pub sent_count: u64,
    /// Of these, the ones that the peer reported (by DSACK) to have had already: the first copy
    /// was late, for want of a processor for instance, not lost.
    pub needless_count: u64,
}

impl Retransmits {
    /// The counters of the calling thread's network namespace.
    ///
    /// Not read from `/proc/net`, which is that of the process's main thread.
    pub fn read_here() -> Result<Self> {
        Ok(Self {
            sent_count: counter("snmp", "Tcp:", "RetransSegs")?,
            needless_count: counter("netstat", "TcpExt:", "TCPDSACKRecv")?,
        })
    }

    /// Segments that were sent again because they, or the answer to them, were lost.
    pub fn lost_count(self) -> u64 {
        self.sent_count.saturating_sub(self.needless_count)
    }
}

impl Sub for Retransmits {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent_count: self.sent_count.saturating_sub(earlier.sent_count),
            needless_count: self.needless_count.saturating_sub(earlier.needless_count),
        }
    }
}

/// A counter of a file that has a line of names and a line of values for each group.
fn counter(file: &str, group: &str, wanted: &str) -> Result<u64> {
    let path = format!("/proc/thread-self/net/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (rows.next().unwrap_or(""), rows.next().unwrap_or(""));
    names
        .split_whitespace()
        .zip(values.split_whitespace())
        .find(|(name, _)| *name == wanted)
        .and_then(|(_, value)| value.parse().ok())
        .with_context(|| format!("no {wanted} in {path}"))
}
