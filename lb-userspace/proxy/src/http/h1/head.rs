//! What request heads, response heads and trailer sections share: lines that end with CRLF, and
//! an empty one after the last.

use crate::http::{Known, Reason, fields::Marks, guard, words};

/// Where the search for the end of a head stopped, so that each byte is looked at once however
/// the head arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    line: usize,
    at: usize,
}

impl Scan {
    /// Where the first byte after the empty line is; `None` if that has not come yet. `bytes` begin
    /// as they did before, and may have become more.
    ///
    /// # Errors
    /// [`Reason::Malformed`] as soon as a line ends without CR.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Reason> {
        let start = self.at;
        for found in memchr::memchr_iter(b'\n', bytes.get(start..).unwrap_or_default()) {
            let end = start + found;
            match bytes.get(self.line..end) {
                Some(b"\r") => return Ok(Some(end + 1)),
                Some([.., b'\r']) => {}
                _ => return Err(Reason::Malformed),
            }
            self.line = end + 1;
        }
        self.at = bytes.len();
        Ok(None)
    }

    /// Whether nothing was looked at yet.
    pub fn is_new(self) -> bool {
        self.at == 0
    }

    /// Whether not even the first line is complete.
    pub fn is_in_first_line(self) -> bool {
        self.line == 0
    }
}

/// Marks the fields of the lines that begin at `at`, and where the empty line after them ends. Of
/// `head` nothing behind that is looked at.
///
/// # Errors
/// [`Reason::HeaderTooLarge`] for more than `count_max` fields, what [`guard::field_name`] refuses,
/// and [`Reason::Malformed`] if there is no empty line. Folded lines are refused too.
pub fn mark_fields(head: &[u8], mut at: usize, count_max: usize) -> Result<(Marks, usize), Reason> {
    let mut marks = Marks::default();
    loop {
        let line = head.get(at..).unwrap_or_default();
        if line.starts_with(b"\r\n") {
            return Ok((marks, at + 2));
        }
        // One pass: whatever ends a name but a colon, or a value but CRLF, is wrong.
        let (name, rest) = line.split_at_checked(words::name_bytes(line)).unwrap_or_default();
        let rest = rest.strip_prefix(b":").ok_or(Reason::Malformed)?;
        let known = Known::of(name);
        if known == Known::Other {
            guard::field_name(name)?;
        }
        let from = without_blanks_before(rest);
        let (text, behind) = from.split_at_checked(words::text_bytes(from)).unwrap_or_default();
        if !behind.starts_with(b"\r\n") {
            return Err(Reason::Malformed);
        }
        if marks.len() >= count_max {
            return Err(Reason::HeaderTooLarge);
        }
        let value = without_blanks_behind(text);
        let is_spaced = rest.len() - from.len() == 1 && rest.starts_with(b" ");
        let start = at + line.len() - from.len();
        let is_line = is_spaced && value.len() == text.len();
        marks.push(known, at..at + name.len(), start..start + value.len(), is_line);
        at = start + text.len() + 2;
    }
}

fn without_blanks_before(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

fn without_blanks_behind(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Fields;

    #[test]
    fn the_end_is_found_however_the_head_arrives() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scan = Scan::default();
        for length in 0..head.len() {
            let end = scan.end(&head[..length]).unwrap();
            assert_eq!(end, (length >= 27).then_some(27), "{length}");
            if end.is_some() {
                break;
            }
        }
        assert_eq!(Scan::default().end(b"\r\n"), Ok(Some(2)));
        assert_eq!(Scan::default().end(b"a\n"), Err(Reason::Malformed));
        assert_eq!(Scan::default().end(b"a\r\n\n"), Err(Reason::Malformed));
    }

    fn fields_of(head: &[u8]) -> Result<Vec<(String, String)>, Reason> {
        let (marks, end) = mark_fields(head, 0, 3)?;
        assert_eq!(end, head.len());
        let fields = Fields::over(head.to_vec(), marks);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(fields.iter().map(|(name, value)| (text(name.text()), text(value))).collect())
    }

    #[test]
    fn fields() {
        let fields = fields_of(b"A:1\r\nb: \t x y\t \r\nC:\r\n\r\n").unwrap();
        let expected = [("A", "1"), ("b", "x y"), ("C", "")];
        assert_eq!(fields, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        for bad in ["a b: 1", "a : 1", " a: 1", ": 1", "a", "a: 1\r\n b", "a: \0", "a: b\rc"] {
            let head = format!("{bad}\r\n\r\n");
            assert_eq!(fields_of(head.as_bytes()), Err(Reason::Malformed), "{bad:?}");
        }
        assert_eq!(fields_of(b"a: 1\r\n"), Err(Reason::Malformed), "no empty line");
        let many = fields_of(b"a:\r\nb:\r\nc:\r\nd:\r\n\r\n");
        assert_eq!(many, Err(Reason::HeaderTooLarge));
    }
}
