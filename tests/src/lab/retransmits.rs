//! TCP segments that a host sent more than once: what packet loss looks like from TCP.
//!
//! Read from the open connections, not from the host's counters: those also have what happens
//! while a connection opens or closes, which is sent again on a busy machine without any loss, and
//! reported by nobody as needless.

use std::collections::BTreeMap;

/// Counters of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retransmits {
    /// Segments sent again.
    pub sent_count: u64,
    /// Of these, the ones that the peer reported (by DSACK) to have had already: the first copy
    /// was late, for want of a processor for instance, not lost.
    pub needless_count: u64,
}

impl Retransmits {
    /// Segments that were sent again because they, or the answer to them, were lost.
    pub fn lost_count(self) -> u64 {
        self.sent_count.saturating_sub(self.needless_count)
    }
}

/// Reads what `ss --tcp --info --oneline --no-header state established` says, a connection a
/// line; the key is the local address and port, a space, and the peer's.
pub(super) fn parse(text: &str) -> BTreeMap<String, Retransmits> {
    text.lines().filter_map(parse_line).collect()
}

/// `retrans:NOW/TOTAL` and `dsack_dups:COUNT` are there only if they are not 0.
fn parse_line(line: &str) -> Option<(String, Retransmits)> {
    // What waits to be read and to be acknowledged comes first.
    let mut addresses = line.split_whitespace().skip(2);
    let key = format!("{} {}", addresses.next()?, addresses.next()?);
    let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    let total = word("retrans:").and_then(|counts| counts.split_once('/')?.1.parse().ok());
    let needless = word("dsack_dups:").and_then(|count| count.parse().ok());
    let (sent_count, needless_count) = (total.unwrap_or(0), needless.unwrap_or(0));
    Some((key, Retransmits { sent_count, needless_count }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_connection() {
        let text = "0 0 10.2.0.11:80 10.1.0.2:4000 cubic rto:204 bytes_sent:30 lastsnd:4\n\
                    0 5 10.2.0.11:80 10.1.0.2:4001 cubic bytes_retrans:16 retrans:0/2 dsack_dups:1\n\
                    0 0 [fd02::11]:80 [fd01::2]:4002 cubic retrans:1/3\n";
        let read = parse(text);
        let lost: Vec<_> = read.iter().map(|(key, one)| (key.as_str(), one.lost_count())).collect();
        let expected = [
            ("10.2.0.11:80 10.1.0.2:4000", 0),
            ("10.2.0.11:80 10.1.0.2:4001", 1),
            ("[fd02::11]:80 [fd01::2]:4002", 3),
        ];
        assert_eq!(lost, expected);
        assert!(parse("").is_empty());
    }
}
