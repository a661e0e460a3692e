//! Another path (Gateway API, `HTTPPathModifier`).

use super::FilterError;
use crate::route::regex;
use lb_model::PathRewrite;
use regex_automata::{meta::Regex, util::interpolate};

/// Another path.
#[derive(Debug)]
pub(super) enum NewPath {
    /// This one.
    Full(Box<[u8]>),
    /// This in place of the prefix, with and without slashes at its end.
    Prefix { whole: Box<[u8]>, trimmed: Box<[u8]> },
    /// What an expression matches, replaced.
    Regex(Box<Replace>),
}

#[derive(Debug)]
pub(super) struct Replace {
    regex: Regex,
    replacement: Box<[u8]>,
}

/// A path that would be longer than [`PATH_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes of a path that an expression makes; a longer one is refused with 414.
pub(super) const PATH_BYTES_MAX: usize = 64 * 1_024;

/// Matches that are replaced; what follows stays as it is. Each may cost a look at all of the path.
const MATCHES_MAX: usize = 64;

impl NewPath {
    pub(super) fn compile(filter: &'static str, path: &PathRewrite) -> Result<Self, FilterError> {
        let wrong =
            |text: &str, why| Err(FilterError::new(filter, text.escape_debug().to_string(), why));
        match path {
            PathRewrite::Full(path) if !path.starts_with('/') || !is_plain(path) => {
                wrong(path, PLAIN)
            }
            PathRewrite::Full(path) => Ok(Self::Full(path.as_bytes().into())),
            PathRewrite::Prefix(path) => {
                if !is_plain(path) || !(path.is_empty() || path.starts_with('/')) {
                    return wrong(path, PLAIN);
                }
                let trimmed = path.trim_end_matches('/').as_bytes().into();
                Ok(Self::Prefix { whole: path.as_bytes().into(), trimmed })
            }
            PathRewrite::Regex { pattern, replacement } => {
                if !replacement.bytes().all(is_path_byte) {
                    return wrong(replacement, PLAIN);
                }
                let regex = regex(pattern, pattern);
                let regex =
                    regex.map_err(|error| FilterError::new(filter, pattern, error.why()))?;
                let replacement = replacement.as_bytes().into();
                Ok(Self::Regex(Box::new(Replace { regex, replacement })))
            }
        }
    }

    /// The new path in place of `path`, of which the rule's prefix matched `prefix_bytes`. Begins
    /// with `/`.
    pub(super) fn of(&self, path: &[u8], prefix_bytes: usize) -> Result<Vec<u8>, TooLong> {
        match self {
            Self::Full(path) => Ok(path.to_vec()),
            Self::Prefix { whole, trimmed } => {
                let rest = rest_of(path, prefix_bytes);
                let path = if rest.is_empty() { whole.to_vec() } else { [trimmed, rest].concat() };
                Ok(rooted(path))
            }
            Self::Regex(replace) => Ok(normal(replace.all(path)?)),
        }
    }

    /// Bytes of the new path that stand where the prefix was.
    pub(super) fn prefix_bytes(&self) -> usize {
        match self {
            Self::Prefix { trimmed, .. } => trimmed.len(),
            Self::Full(_) | Self::Regex(_) => 0,
        }
    }
}

impl Replace {
    fn all(&self, path: &[u8]) -> Result<Vec<u8>, TooLong> {
        let mut new = Vec::with_capacity(path.len() + self.replacement.len());
        let mut end = 0;
        for captures in self.regex.captures_iter(path).take(MATCHES_MAX) {
            let Some(whole) = captures.get_match() else { continue };
            new.extend_from_slice(path.get(end..whole.start()).unwrap_or_default());
            end = whole.end();
            interpolate::bytes(
                &self.replacement,
                |group, new| {
                    let span = captures.get_group(group);
                    let text = span.and_then(|span| path.get(span.start..span.end));
                    if new.len() <= PATH_BYTES_MAX {
                        new.extend_from_slice(text.unwrap_or_default());
                    }
                },
                |name| captures.group_info().to_index(captures.pattern()?, name),
                &mut new,
            );
            if new.len() > PATH_BYTES_MAX {
                return Err(TooLong);
            }
        }
        new.extend_from_slice(path.get(end..).unwrap_or_default());
        if new.len() > PATH_BYTES_MAX { Err(TooLong) } else { Ok(new) }
    }
}

const PLAIN: &str =
    "a path begins with `/`, is percent-encoded and has no dot segments and no query";

/// Whether a path can be taken as it is.
fn is_plain(path: &str) -> bool {
    path.bytes().all(is_path_byte) && !path.split('/').any(|it| matches!(it, "." | ".."))
}

/// Whether a byte may be in a path, percent-encoded where it must be (RFC 3986, section 3.3).
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\')
}

/// What follows the prefix, with the slash before it; empty if nothing does.
fn rest_of(path: &[u8], prefix_bytes: usize) -> &[u8] {
    let prefix_bytes = prefix_bytes.min(path.len());
    let (prefix, rest) = path.split_at(prefix_bytes);
    if prefix.ends_with(b"/") { path.get(prefix_bytes - 1..).unwrap_or_default() } else { rest }
}

fn rooted(mut path: Vec<u8>) -> Vec<u8> {
    if path.first() != Some(&b'/') {
        path.insert(0, b'/');
    }
    path
}

/// With a slash at its begin and without dot segments (RFC 3986, section 5.2.4), which groups of
/// an expression may have made.
fn normal(path: Vec<u8>) -> Vec<u8> {
    let path = rooted(path);
    if !path.split(|byte| *byte == b'/').any(|it| matches!(it, b"." | b"..")) {
        return path;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut all = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = all.next() {
        let is_last = all.peek().is_none();
        match segment {
            b"." => {}
            b".." => _ = segments.pop(),
            _ => segments.push(segment),
        }
        if is_last && matches!(segment, b"." | b"..") {
            segments.push(b"");
        }
    }
    let mut normal = vec![b'/'];
    normal.extend_from_slice(&segments.join(&b'/'));
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewritten(path: &str, prefix_bytes: usize, rewrite: &PathRewrite) -> String {
        let new = NewPath::compile("test", rewrite).unwrap();
        String::from_utf8(new.of(path.as_bytes(), prefix_bytes).unwrap()).unwrap()
    }

    /// The table of `HTTPPathModifier.replacePrefixMatch` in the Gateway API, and more.
    #[test]
    fn prefixes_are_replaced_as_the_gateway_api_says() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo/", "/foo/", "/xyz", "/xyz/"),
            ("/foo", "/", "/xyz", "/xyz/foo"),
            ("/", "/", "/xyz", "/xyz/"),
            ("/foo//bar", "/foo", "/xyz", "/xyz//bar"),
        ] {
            let rewrite = PathRewrite::Prefix(replacement.to_owned());
            let got = rewritten(path, prefix.len(), &rewrite);
            assert_eq!(got, expected, "{path} {prefix} {replacement}");
        }
    }

    #[test]
    fn whole_paths_and_expressions_are_replaced() {
        assert_eq!(rewritten("/a/b", 0, &PathRewrite::Full("/c".into())), "/c");
        for (pattern, replacement, path, expected) in [
            ("^/api/v(\\d+)/(.*)$", "/$2/v$1", "/api/v2/users", "/users/v2"),
            ("^/(?P<name>[^/]+)", "/x/${name}y", "/a/b", "/x/ay/b"),
            ("o", "0", "/foo/oo", "/f00/00"),
            ("/none", "/x", "/a", "/a"),
            ("^/.*", "", "/a", "/"),
            ("^/", "", "/a", "/a"),
            ("^/x(.*)", "/$1", "/x../../etc", "/etc"),
            ("^/x(.*)", "/a/b/$1", "/x..", "/a/"),
            ("^/x(.*)", "/a/$1", "/x.", "/a/"),
            ("$7", "a", "/b", "/b"),
        ] {
            let (pattern, replacement) = (pattern.to_owned(), replacement.to_owned());
            let rewrite = PathRewrite::Regex { pattern, replacement };
            assert_eq!(rewritten(path, 0, &rewrite), expected, "{rewrite:?} {path}");
        }
    }

    #[test]
    fn what_an_expression_may_make_of_a_path_is_bounded() {
        let rewrite =
            PathRewrite::Regex { pattern: "^.*$".into(), replacement: "$0$0$0$0$0$0$0$0".into() };
        let new = NewPath::compile("test", &rewrite).unwrap();
        assert!(new.of(&b"/".repeat(8 * 1_024), 0).is_ok());
        assert_eq!(new.of(&b"/".repeat(32 * 1_024), 0), Err(TooLong));
        let rewrite = PathRewrite::Regex { pattern: "a".into(), replacement: "b".into() };
        let new = NewPath::compile("test", &rewrite).unwrap();
        let path = [b"/".to_vec(), b"a".repeat(100)].concat();
        let expected = [b"/".to_vec(), b"b".repeat(64), b"a".repeat(36)].concat();
        assert_eq!(new.of(&path, 0), Ok(expected));
    }

    #[test]
    fn paths_that_are_none_are_refused() {
        let regex = |pattern: &str, replacement: &str| PathRewrite::Regex {
            pattern: pattern.to_owned(),
            replacement: replacement.to_owned(),
        };
        for wrong in [
            PathRewrite::Full(String::new()),
            PathRewrite::Full("a".into()),
            PathRewrite::Full("/a?b".into()),
            PathRewrite::Full("/a/../b".into()),
            PathRewrite::Full("/a b".into()),
            PathRewrite::Prefix("a".into()),
            PathRewrite::Prefix("/a\r\n".into()),
            regex("(", "/"),
            regex("\\w{1000}{1000}", "/"),
            regex("a", "\r\n"),
        ] {
            assert!(NewPath::compile("test", &wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_new_path_begins_with_a_slash_and_has_no_dot_segments(
            path in "/[a-z./]{0,20}",
            prefix_bytes in 0_usize..30,
            replacement in "(/[a-z]{0,3}){0,3}/?",
            pattern in "[a-z./]{0,2}(\\(\\.\\*\\))?",
        ) {
            let prefix = PathRewrite::Prefix(replacement.clone());
            let prefix = NewPath::compile("test", &prefix).unwrap();
            prop_assert!(prefix.of(path.as_bytes(), prefix_bytes).unwrap().starts_with(b"/"));
            let replacement = format!("{replacement}$1");
            let regex = PathRewrite::Regex { pattern, replacement };
            let regex = NewPath::compile("test", &regex).unwrap();
            let new = String::from_utf8(regex.of(path.as_bytes(), 0).unwrap()).unwrap();
            prop_assert!(new.starts_with('/'));
            prop_assert!(!new.split('/').any(|it| it == "." || it == ".."), "{}", new);
        }
    }
}
