//! Names, numbers, ranges and durations.

use crate::config::{
    diagnostic::{Position, Report},
    located::Located,
    schema,
};
use lb_common::limits;
use std::{ops::RangeInclusive, time::Duration};

/// A service or backend name.
pub(super) fn name(text: &Located<String>, report: &mut Report) -> Option<String> {
    const HINT: &str = "a name has letters, digits, `-`, `_` and `.`, and starts and ends with a \
                        letter or digit (RFC 1123)";
    let value = &text.value;
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if value.is_empty() {
        report.error(text.at, "an empty name", HINT);
    } else if value.len() > limits::NAME_BYTES_MAX {
        let message = format!("name `{value}` is {} bytes long", value.len());
        report.error(text.at, message, format!("at most {} bytes", limits::NAME_BYTES_MAX));
    } else if !edge(value.chars().next())
        || !edge(value.chars().last())
        || !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    {
        report.error(text.at, format!("`{value}` cannot be a name"), HINT);
    } else {
        return Some(value.clone());
    }
    None
}

/// A whole number in a range.
pub(super) fn number<T: TryFrom<i64> + Into<i64> + Copy>(
    what: &str,
    number: &Located<i64>,
    range: RangeInclusive<T>,
    report: &mut Report,
) -> Option<T> {
    let (first, last): (i64, i64) = ((*range.start()).into(), (*range.end()).into());
    let value = (first..=last).contains(&number.value).then(|| T::try_from(number.value).ok());
    let value = value.flatten();
    if value.is_none() {
        let message = format!("{} is not a {what}", number.value);
        report.error(number.at, message, format!("write a number from {first} to {last}"));
    }
    value
}

/// `FIRST-LAST`, or one number.
pub(super) fn span(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    match text.split_once('-') {
        Some((first, last)) => Some((number(first.trim())?, number(last.trim())?)),
        None => number(text.trim()).map(|only| (only, only)),
    }
}

/// A time such as `500ms`, `30s`, `15m`, `1h` in a range.
pub(super) fn duration(
    what: &str,
    text: &Located<String>,
    range: RangeInclusive<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    let value = read_duration(text, report)?;
    if !range.contains(&value) {
        report.error(
            text.at,
            format!("`{}` is not a valid {what}", text.value),
            format!(
                "between {} and {}",
                show_duration(*range.start()),
                show_duration(*range.end())
            ),
        );
        return None;
    }
    Some(value)
}

/// A time that may be left out; what is wrong is reported and counts as left out.
pub(super) fn time(
    what: &str,
    text: Option<&Located<String>>,
    range: RangeInclusive<Duration>,
    default: Duration,
    report: &mut Report,
) -> Duration {
    text.and_then(|text| duration(what, text, range, report)).unwrap_or(default)
}

/// A time, or `none`; `default` if it is left out.
pub(super) fn time_or_none(
    what: &str,
    text: Option<&Located<String>>,
    range: RangeInclusive<Duration>,
    default: Option<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    match text {
        None => default,
        Some(text) if text.value == NONE => None,
        Some(text) => duration(what, text, range, report),
    }
}

/// A whole number that may be left out; what is wrong is reported and counts as left out.
pub(super) fn count<T: TryFrom<i64> + Into<i64> + Copy>(
    what: &str,
    text: Option<&Located<i64>>,
    range: RangeInclusive<T>,
    default: T,
    report: &mut Report,
) -> T {
    text.and_then(|text| number(what, text, range, report)).unwrap_or(default)
}

/// A number of bytes, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// At least 1.
    Bytes(u64),
    /// `none`.
    Unlimited,
}

/// A size, at most `max` bytes.
pub(super) fn size(
    what: &str,
    text: &Located<schema::TextOrNumber>,
    max: u64,
    report: &mut Report,
) -> Option<Size> {
    let value = text.value.to_string();
    if value == NONE {
        return Some(Size::Unlimited);
    }
    let unit_at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(unit_at);
    let unit_bytes = match unit.trim() {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    if !digits.is_empty() && unit_bytes.is_none() {
        let message = format!("`{}` is not a unit of bytes", unit.trim());
        report.error(text.at, message, "units are KiB, MiB and GiB; a number alone is bytes");
        return None;
    }
    let count = digits.parse::<u64>().ok();
    let count = count.zip(unit_bytes).and_then(|(count, unit)| count.checked_mul(unit));
    let valid = count.filter(|count| (1..=max).contains(count));
    if valid.is_none() {
        let hint = format!("write a number of bytes from 1 to {max}, like `64KiB`");
        report.error(text.at, format!("`{value}` is not a valid {what}"), hint);
    }
    valid.map(Size::Bytes)
}

/// What stands for the lack of a limit.
pub(super) const NONE: &str = "none";

/// A duration as the file would say it.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit_ms, _)| ms > 0 && ms.is_multiple_of(*unit_ms))
        .map_or_else(|| format!("{ms}ms"), |(unit_ms, unit)| format!("{}{unit}", ms / unit_ms))
}

fn read_duration(text: &Located<String>, report: &mut Report) -> Option<Duration> {
    const HINT: &str = "a whole number and a unit: `500ms`, `30s`, `15m` or `1h`";
    let value = text.value.trim();
    let unit_at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    if digits.is_empty() {
        report.error(text.at, format!("`{value}` is not a time"), HINT);
    } else if unit.is_empty() {
        let hint = format!("write `{digits}s` for seconds; units are ms, s, m and h");
        report.error(text.at, format!("time `{value}` has no unit"), hint);
    } else if let Some(unit_ms) = unit_ms {
        // A number too large to count is out of any range.
        let ms = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_ms));
        return Some(Duration::from_millis(ms.unwrap_or(u64::MAX)));
    } else {
        report.error(text.at, format!("`{}` is not a unit of time", unit.trim()), HINT);
    }
    None
}

/// A port, 1 to 65535.
pub(super) fn port(text: &Located<i64>, report: &mut Report) -> Option<u16> {
    number("port", text, 1..=u16::MAX, report)
}

/// "the other one is on line 3, column 7".
pub(super) fn other_at(at: Position) -> String {
    format!("the other one is on {at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Duration> {
        let text = Located { value: text.to_owned(), at: Position::default() };
        duration("time", &text, Duration::ZERO..=Duration::MAX, &mut Report::default())
    }

    proptest! {
        #[test]
        fn a_shown_duration_is_read_back(ms in any::<u64>()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(read(&show_duration(duration)), Some(duration));
        }
    }

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(read("90m"), Some(Duration::from_mins(90)));
        assert_eq!(read(" 1h "), Some(Duration::from_hours(1)));
        for text in ["", "s", "10", "10 s", "-1s", "1.5s", "1h30m", "10d", "٣s"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn spans_are_two_numbers_or_one() {
        assert_eq!(span("1-2"), Some((1, 2)));
        assert_eq!(span("7"), Some((7, 7)));
        assert_eq!(span("1-99999999999"), Some((1, u32::MAX)));
        for text in ["", "-", "1-", "-1", "1-2-3", "a-b", "+1-2"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
