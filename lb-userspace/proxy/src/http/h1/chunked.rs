//! Chunked bodies (RFC 9112, section 7.1).

use super::head::{Scan, mark_fields};
use crate::http::{BodyError, Fields, guard, method::is_token_byte};

/// Longest line with a chunk's size: 16 digits and extensions.
const LINE_BYTES_MAX: usize = 512;
/// Extensions of one body, bytes: nobody uses them but to make us work.
const EXTENSION_BYTES_MAX: usize = 8 * 1_024;
/// A trailer section, bytes and fields.
const TRAILER_BYTES_MAX: usize = 8 * 1_024;
const TRAILER_FIELDS_MAX: usize = 64;

/// Takes chunks apart.
#[derive(Debug, Default)]
pub struct Decoder {
    stage: Stage,
    extension_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers(Scan),
    End,
}

/// What the next bytes are.
#[derive(Debug)]
pub enum Step {
    /// Not enough of them to tell. Some may have been consumed.
    More,
    /// So many bytes of data at their begin, at least one; they count as consumed.
    Data(usize),
    /// The end, with trailer fields that may be passed on.
    End(Option<Box<Fields>>),
}

impl Decoder {
    /// What comes at the begin of `bytes`, and how many bytes before it are to be skipped.
    ///
    /// # Errors
    /// [`BodyError::Malformed`], [`BodyError::TooLarge`] for trailers.
    pub fn step(&mut self, bytes: &[u8]) -> Result<(usize, Step), BodyError> {
        let mut skipped = 0;
        loop {
            let rest = bytes.get(skipped..).unwrap_or_default();
            match self.stage {
                Stage::Size => {
                    let Some((size, length)) = self.size(rest)? else {
                        return Ok((skipped, Step::More));
                    };
                    skipped += length;
                    self.stage = match size {
                        0 => Stage::Trailers(Scan::default()),
                        size => Stage::Data(size),
                    };
                }
                Stage::Data(_) if rest.is_empty() => return Ok((skipped, Step::More)),
                Stage::Data(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - count as u64;
                    self.stage = if left == 0 { Stage::DataEnd } else { Stage::Data(left) };
                    return Ok((skipped, Step::Data(count)));
                }
                Stage::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        skipped += 2;
                        self.stage = Stage::Size;
                    }
                    [] | [b'\r'] => return Ok((skipped, Step::More)),
                    _ => return Err(BodyError::Malformed),
                },
                Stage::Trailers(mut scan) => {
                    let end = scan.end(rest).map_err(|_| BodyError::Malformed)?;
                    if end.unwrap_or(rest.len()) > TRAILER_BYTES_MAX {
                        return Err(BodyError::TooLarge);
                    }
                    self.stage = Stage::Trailers(scan);
                    let Some(section) = end.and_then(|end| rest.get(..end)) else {
                        return Ok((skipped, Step::More));
                    };
                    self.stage = Stage::End;
                    return Ok((skipped + section.len(), Step::End(trailers(section)?)));
                }
                Stage::End => return Ok((skipped, Step::End(None))),
            }
        }
    }

    /// The size of a chunk, and the length of its line; `None` if the line is not complete.
    fn size(&mut self, bytes: &[u8]) -> Result<Option<(u64, usize)>, BodyError> {
        let start = bytes.get(..bytes.len().min(LINE_BYTES_MAX)).unwrap_or_default();
        if start.first().is_some_and(|it| !it.is_ascii_hexdigit()) {
            return Err(BodyError::Malformed);
        }
        let Some(end) = memchr::memchr(b'\n', start) else {
            let is_full = start.len() == LINE_BYTES_MAX;
            let has_cr = memchr::memchr(b'\r', start).is_some_and(|it| it + 1 < start.len());
            return if is_full || has_cr { Err(BodyError::Malformed) } else { Ok(None) };
        };
        let line = start.get(..end).and_then(|it| it.strip_suffix(b"\r"));
        let line = line.ok_or(BodyError::Malformed)?;
        let digits = line.iter().take_while(|it| it.is_ascii_hexdigit()).count();
        let (size, extensions) = line.split_at_checked(digits).unwrap_or_default();
        self.extension_bytes += extensions.len();
        let is_refused = self.extension_bytes > EXTENSION_BYTES_MAX || !are_extensions(extensions);
        if size.is_empty() || size.len() > 16 || is_refused {
            return Err(BodyError::Malformed);
        }
        let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or_default());
        let size = size.iter().fold(0, |size, it| size << 4 | digit(it));
        Ok(Some((size, end + 1)))
    }
}

/// Fields of a trailer section that may be passed on, if there are any.
fn trailers(section: &[u8]) -> Result<Option<Box<Fields>>, BodyError> {
    if section == b"\r\n" {
        return Ok(None);
    }
    let marked = mark_fields(section, 0, TRAILER_FIELDS_MAX);
    let (marks, _) = marked.map_err(|_| BodyError::Malformed)?;
    let mut fields = Fields::over(section.to_vec(), marks);
    fields.retain(|name, _| guard::is_trailer(name.known()));
    Ok((!fields.is_empty()).then(|| Box::new(fields)))
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, RFC 9112, section 7.1.1.
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(extension) = blank(rest).strip_prefix(b";") else { return false };
        let Some(after) = token(blank(extension)) else { return false };
        rest = after;
        if let Some(value) = blank(after).strip_prefix(b"=") {
            let value = blank(value);
            let after = value.strip_prefix(b"\"").map_or_else(|| token(value), quoted);
            let Some(after) = after else { return false };
            rest = after;
        }
    }
    true
}

fn blank(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|it| matches!(it, b' ' | b'\t')).count();
    text.get(count..).unwrap_or_default()
}

/// What follows a token.
fn token(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|it| is_token_byte(**it)).count();
    text.get(count..).filter(|_| count > 0)
}

/// What follows the end of a quoted string.
fn quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if guard::field_value(&[b'a', *escaped, b'a']).is_ok() => {
                text = rest;
            }
            [b'\\', ..] | [] => return None,
            [byte, rest @ ..] if guard::field_value(&[b'a', *byte, b'a']).is_ok() => text = rest,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, number of trailer fields, and what follows the body.
    type Decoded = (Vec<u8>, usize, Vec<u8>);

    /// A complete body; `None` if more must come.
    fn decode(bytes: &[u8]) -> Result<Option<Decoded>, BodyError> {
        let mut decoder = Decoder::default();
        let (mut at, mut data) = (0, Vec::new());
        loop {
            let (skipped, step) = decoder.step(&bytes[at..])?;
            at += skipped;
            match step {
                Step::More => return Ok(None),
                Step::Data(count) => {
                    data.extend_from_slice(&bytes[at..at + count]);
                    at += count;
                }
                Step::End(trailers) => {
                    let trailers = trailers.map_or(0, |it| it.len());
                    return Ok(Some((data, trailers, bytes[at..].to_vec())));
                }
            }
        }
    }

    #[test]
    fn bodies() {
        let rows: [(&str, &str, usize, &str); 6] = [
            ("0\r\n\r\n", "", 0, ""),
            ("3\r\nabc\r\n0\r\n\r\nGET", "abc", 0, "GET"),
            ("0000000000000001\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc", 0, ""),
            ("A;x\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0, ""),
            ("1;a=b;c=\"d\\\"\\;\";e \t;f\t= g\r\na\r\n0\r\nX: y\r\n\r\n", "a", 1, ""),
            ("0\r\nGrpc-Status: 0\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "", 1, ""),
        ];
        for (bytes, data, trailers, rest) in rows {
            let expected = (data.as_bytes().to_vec(), trailers, rest.as_bytes().to_vec());
            assert_eq!(decode(bytes.as_bytes()), Ok(Some(expected)), "{bytes:?}");
            for length in 0..bytes.len() - rest.len() {
                assert_eq!(decode(&bytes.as_bytes()[..length]), Ok(None), "{bytes:?} {length}");
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let bad = [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 \r\n",
            "1\n",
            "1\ra",
            "1_0\r\n",
            "00000000000000001\r\n",
            "1;\r\n",
            "1;=a\r\n",
            "1;a=\r\n",
            "1;a=\"b\r\n",
            "1;a\nb\r\n",
            "1;a\rb\r\n",
            "1;a=\"\u{1}\"\r\n",
            "1,\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\rb",
            "0\r\n\n",
            "0\r\na\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\n\r\n",
        ];
        for bad in bad {
            assert_eq!(decode(bad.as_bytes()), Err(BodyError::Malformed), "{bad:?}");
        }
        let long = format!("1;{}", "a".repeat(LINE_BYTES_MAX));
        assert_eq!(decode(long.as_bytes()), Err(BodyError::Malformed));
        let many = format!("1;{}\r\na\r\n", "a".repeat(400)).repeat(21);
        assert_eq!(decode(many.as_bytes()), Err(BodyError::Malformed));
        let trailers = format!("0\r\na: {}", "b".repeat(TRAILER_BYTES_MAX));
        assert_eq!(decode(trailers.as_bytes()), Err(BodyError::TooLarge));
    }
}
