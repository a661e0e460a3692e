//! Plain tables: left-aligned columns, two spaces apart, no lines; what `column -t` would print.

use std::fmt::Write as _;

/// Something that is a row of a table.
pub(super) trait Row {
    /// Column headings; `wide` has more.
    fn headings(wide: bool) -> Vec<&'static str>;
    /// The row's cells, as many as there are headings.
    fn cells(&self, wide: bool) -> Vec<String>;
}

/// The whole table as text, ending in a line feed unless it is empty.
pub(super) fn render<T: Row>(rows: &[T], wide: bool, headers: bool) -> String {
    let mut lines: Vec<Vec<String>> = Vec::with_capacity(rows.len() + 1);
    if headers {
        lines.push(T::headings(wide).into_iter().map(ToOwned::to_owned).collect());
    }
    lines.extend(rows.iter().map(|row| row.cells(wide)));
    let mut widths = vec![0; T::headings(wide).len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (width, cell) in widths.iter().zip(line) {
            // Writing to a string cannot fail.
            write!(row, "{cell:<width$}  ").ok();
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// A number with its unit in powers of 1024, three digits at most.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count}B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.iter().skip(1) {
        if value < 1000.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$}{unit}")
}

/// A time span in its two largest units.
pub(super) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A part of the whole as per cent.
pub(super) fn share(part: f64) -> String {
    format!("{:.2}%", part * 100.0)
}

/// The text, or a dash.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(&'static str, u32);

    impl Row for Pair {
        fn headings(_wide: bool) -> Vec<&'static str> {
            vec!["NAME", "COUNT"]
        }

        fn cells(&self, _wide: bool) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_string()]
        }
    }

    #[test]
    fn columns_align() {
        let rows = [Pair("a", 1), Pair("longer", 20)];
        assert_eq!(render(&rows, false, true), "NAME    COUNT\na       1\nlonger  20\n");
        assert_eq!(render(&rows, false, false), "a       1\nlonger  20\n");
        assert_eq!(render::<Pair>(&[], false, false), "");
    }

    #[test]
    fn units_are_readable() {
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(1023), "1023B");
        assert_eq!(bytes(1536), "1.50KiB");
        assert_eq!(bytes(10 * 1024 * 1024), "10.0MiB");
        assert_eq!(bytes(u64::MAX), "16384PiB");
        assert_eq!(span(999), "999ms");
        assert_eq!(span(61_000), "1m1s");
        assert_eq!(span(3_660_000), "1h1m");
        assert_eq!(span(90_000_000), "1d1h");
        assert_eq!(share(1.0 / 3.0), "33.33%");
    }
}
