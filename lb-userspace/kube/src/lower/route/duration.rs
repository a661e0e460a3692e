//! Durations as the Gateway API writes them (GEP-2257): `1h30m`, `500ms`.

use std::time::Duration;

/// Parts of a duration, at most, and digits of each (GEP-2257, the pattern).
const PARTS_MAX: usize = 4;
const DIGITS_MAX: usize = 5;

/// Reads a duration; `None` = it is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    for _ in 0..PARTS_MAX {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > DIGITS_MAX {
            return None;
        }
        let (number, unit) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let (part, after) = if let Some(after) = unit.strip_prefix("ms") {
            (Duration::from_millis(number), after)
        } else if let Some(after) = unit.strip_prefix('s') {
            (Duration::from_secs(number), after)
        } else if let Some(after) = unit.strip_prefix('m') {
            (Duration::from_secs(number * 60), after)
        } else {
            (Duration::from_secs(number * 3_600), unit.strip_prefix('h')?)
        };
        sum += part;
        rest = after;
        if rest.is_empty() {
            return Some(sum);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_up_to_four_parts() {
        for (text, millis) in [
            ("0s", 0),
            ("0h0m0s", 0),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("1h2m3s4ms", 3_723_004),
            ("10s10s", 20_000),
            ("99999h", 359_996_400_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "s", "1.5s", "-1s", "100000s", "1d", "1s ", "1h1h1h1h1h", "1us"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
