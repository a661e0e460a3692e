//! What request heads, response heads and trailer sections share: lines that end with CRLF, and
//! an empty one after the last.

use crate::http::{Fields, Reason, guard};

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

    /// Whether not even the first line is complete.
    pub fn is_in_first_line(self) -> bool {
        self.line == 0
    }
}

/// Marks the fields of the lines that begin at `at`. `head` is what `fields` lie over; it ends with
/// an empty line, and every LF in it follows a CR.
///
/// # Errors
/// [`Reason::HeaderTooLarge`] for more than `count_max` fields, and what
/// [`guard::field_name`] refuses. Folded lines are refused too.
pub fn mark_fields(
    fields: &mut Fields,
    head: &[u8],
    mut at: usize,
    count_max: usize,
) -> Result<(), Reason> {
    loop {
        let line = head.get(at..).unwrap_or_default();
        if line.starts_with(b"\r\n") {
            return Ok(());
        }
        // One pass: whatever ends a name but a colon, or a value but CRLF, is wrong.
        let colon = guard::token_bytes(line);
        let name = line.get(..colon).unwrap_or_default();
        let after = line.get(colon..).and_then(|it| it.strip_prefix(b":"));
        let after = after.filter(|_| colon > 0).ok_or(Reason::Malformed)?;
        guard::framing_name(name)?;
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let blanks = after.iter().take_while(is_blank).count();
        let rest = after.get(blanks..).unwrap_or_default();
        let end = guard::text_bytes(rest);
        let (value, behind) = rest.split_at_checked(end).unwrap_or_default();
        if !behind.starts_with(b"\r\n") {
            return Err(Reason::Malformed);
        }
        if fields.len() >= count_max {
            return Err(Reason::HeaderTooLarge);
        }
        let trailing = value.iter().rev().take_while(is_blank).count();
        let start = at + colon + 1 + blanks;
        fields.mark(at..at + colon, start..start + end - trailing);
        at = start + end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut fields = Fields::over(head.to_vec());
        mark_fields(&mut fields, head, 0, 3)?;
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
        let many = fields_of(b"a:\r\nb:\r\nc:\r\nd:\r\n\r\n");
        assert_eq!(many, Err(Reason::HeaderTooLarge));
    }
}
