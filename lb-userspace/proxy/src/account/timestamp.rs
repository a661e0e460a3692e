//! Points in time as logs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// Writes RFC 3339 times with microseconds, UTC. The date and time of day are formatted once a
/// second.
#[derive(Debug, Default)]
pub(super) struct Timestamp {
    second: u64,
    text: String,
}

impl Timestamp {
    /// Appends `at` to `line`.
    pub(super) fn write(&mut self, at: SystemTime, line: &mut Vec<u8>) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        if self.text.is_empty() || self.second != since.as_secs() {
            self.second = since.as_secs();
            self.text = formatted(self.second);
        }
        line.extend_from_slice(self.text.as_bytes());
        line.extend_from_slice(format!(".{:06}Z", since.subsec_micros()).as_bytes());
    }
}

fn formatted(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    format!("{date}T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_microseconds() {
        let mut line = Vec::new();
        let mut timestamp = Timestamp::default();
        for us in [0, 1_794_000_123_000_045, 1_794_000_123_999_999] {
            timestamp.write(UNIX_EPOCH + Duration::from_micros(us), &mut line);
            line.push(b' ');
        }
        let text = String::from_utf8(line).unwrap();
        let expected =
            "1970-01-01T00:00:00.000000Z 2026-11-06T21:22:03.000045Z 2026-11-06T21:22:03.999999Z ";
        assert_eq!(text, expected);
    }
}
