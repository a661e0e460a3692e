//! Targets: checked, and made normal, so that what is matched is what is sent.

use crate::http::{Reason, words::plain_path_bytes};
use std::borrow::Cow;

/// Checks a target in origin form (`/path?query`, RFC 9112, section 3.2.1) or `*`, and makes its
/// path normal (RFC 3986, section 6.2.2): percent-encoded unreserved characters are decoded, then
/// dot segments removed. A query is left as it is.
///
/// # Errors
/// [`Reason::Malformed`] if it is neither; for control bytes, spaces, `#` and bytes above 0x7f;
/// and in the path for `\`, bad percent encodings, `%00`, and `..` that climb above the root.
pub fn target(text: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    let is_rooted = text.first() == Some(&b'/');
    if text == b"*" || (is_rooted && plain_path_bytes(text) == text.len()) {
        return Ok(Cow::Borrowed(text));
    }
    let is_plain = |byte: u8| byte > b' ' && byte < 0x7f && byte != b'#';
    if !is_rooted || !text.iter().fold(true, |all, it| all & is_plain(*it)) {
        return Err(Reason::Malformed);
    }
    let path_bytes = memchr::memchr(b'?', text).unwrap_or(text.len());
    let (path, query) = text.split_at_checked(path_bytes).unwrap_or_default();
    if memchr::memchr2(b'%', b'\\', path).is_none() && !has_dot_segment(path) {
        return Ok(Cow::Borrowed(text));
    }
    let mut normal = without_dot_segments(&decoded(path)?)?;
    normal.extend_from_slice(query);
    Ok(Cow::Owned(normal))
}

/// Whether a segment is, or begins with, a dot: few do, and those are worth a closer look.
fn has_dot_segment(path: &[u8]) -> bool {
    memchr::memmem::find(path, b"/.").is_some()
}

/// `path` with unreserved characters in the clear.
fn decoded(path: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => return Err(Reason::Malformed),
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>().ok_or(Reason::Malformed)?;
                let value = digits.iter().try_fold(0, |value: u32, digit| {
                    Some(value << 4 | char::from(*digit).to_digit(16)?)
                });
                match value.and_then(|it| u8::try_from(it).ok()) {
                    None | Some(0) => return Err(Reason::Malformed),
                    Some(it) if it.is_ascii_alphanumeric() || b"-._~".contains(&it) => {
                        decoded.push(it);
                    }
                    Some(_) => {
                        decoded.push(b'%');
                        decoded.extend_from_slice(digits);
                    }
                }
                rest = after;
            }
            other => decoded.push(*other),
        }
    }
    Ok(decoded)
}

/// RFC 3986, section 5.2.4, but what would climb above the root is refused.
fn without_dot_segments(path: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut normal: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|it| *it == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &normal).ok_or(Reason::Malformed)?;
                normal.truncate(parent);
            }
            _ => {
                normal.push(b'/');
                normal.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            normal.push(b'/');
        }
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_normal() {
        let rows = [
            ("*", "*"),
            ("/", "/"),
            ("/a/b?c=%zz/../d", "/a/b?c=%zz/../d"),
            ("/a//b/", "/a//b/"),
            ("/%61%2D%7e%2fb%2F?x", "/a-~%2fb%2F?x"),
            ("/a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b/..", "/"),
            ("/a/b/../..", "/"),
            ("/a//../b", "/a/b"),
            ("/.a/..b/...", "/.a/..b/..."),
            ("/a/.%2e?x", "/?x"),
        ];
        for (given, normal) in rows {
            assert_eq!(target(given.as_bytes()).as_deref(), Ok(normal.as_bytes()), "{given}");
        }
        let bad = "|a|**|http://a/|/..|/a/../..|/%2e%2e/a|/a b|/a\t|/a#b|/?a#|/\u{7f}|/ä|/%|/%4|/%4g\
                   |/%00|/a\\b|/.\\.|?a";
        for bad in bad.split('|') {
            assert_eq!(target(bad.as_bytes()), Err(Reason::Malformed), "{bad}");
        }
    }
}
