//! Paths and regular expressions.

use super::Context;
use crate::config::{diagnostic::Report, located::Located};
use lb_common::limits;
use regex_automata::{meta, util::syntax};

/// Bytes of a path; servers commonly take 4 to 8 KiB for the whole request line.
const PATH_BYTES_MAX: usize = 2_048;

/// A path that requests can have once it is normalised, or be given.
pub(super) fn path(text: &Located<String>, report: &mut Report) -> Option<String> {
    let path = &text.value;
    let (message, hint) = if !path.starts_with('/') {
        (format!("path `{path}` does not start with `/`"), format!("write `/{path}`"))
    } else if path.len() > PATH_BYTES_MAX {
        (format!("a path of {} bytes", path.len()), format!("at most {PATH_BYTES_MAX} bytes"))
    } else if path.contains(['?', '#']) {
        let hint = "a path ends before `?` and `#`; query parameters are matched by `query`";
        (format!("path `{path}` has a query or a fragment"), hint.to_owned())
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "no spaces, control characters or non-ASCII: percent-encode them, as in %20";
        (format!("path `{path}` cannot be sent as it is"), hint.to_owned())
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        let hint = "paths are compared after dot segments are removed: write what is left";
        (format!("path `{path}` has a dot segment"), hint.to_owned())
    } else if let Some(wrong) = escape(path) {
        wrong
    } else {
        return Some(path.clone());
    };
    report.error(text.at, message, hint);
    None
}

/// What is wrong with the percent-encoding of a path.
fn escape(path: &str) -> Option<(String, String)> {
    for part in path.split('%').skip(1) {
        let digits = part.get(..2).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            let hint = "`%` is followed by two hexadecimal digits; the sign itself is %25";
            return Some((format!("path `{path}` has a broken escape"), hint.to_owned()));
        };
        let byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            let sign = char::from(byte);
            let hint = format!("paths are compared after `%{digits}` is decoded: write `{sign}`");
            return Some((format!("path `{path}` escapes what needs no escape"), hint));
        }
    }
    None
}

impl Context<'_> {
    /// A regular expression that compiles within its limits.
    pub(super) fn regex(&mut self, text: &Located<String>) -> Option<String> {
        let pattern = &text.value;
        self.regex_count += 1;
        if self.regex_count == limits::REGEXES_MAX + 1 {
            let count = self.regex_count;
            self.too_many("regular expressions", count, limits::REGEXES_MAX, text.at);
        }
        if self.regex_count > limits::REGEXES_MAX {
            return None;
        }
        if pattern.len() > limits::REGEX_PATTERN_BYTES_MAX {
            let message = format!("a regular expression of {} bytes", pattern.len());
            let hint = format!("at most {} bytes", limits::REGEX_PATTERN_BYTES_MAX);
            self.report.error(text.at, message, hint);
            return None;
        }
        let config = meta::Config::new()
            .nfa_size_limit(Some(limits::REGEX_PROGRAM_BYTES_MAX))
            .hybrid_cache_capacity(limits::REGEX_PROGRAM_BYTES_MAX);
        let built = meta::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().nest_limit(64))
            .build(pattern);
        let Err(error) = built else { return Some(pattern.clone()) };
        let hint = "linear-time syntax as in RE2: no look-around and no back-references";
        // The parser's report repeats the pattern over several lines; the last says what is wrong.
        let why = error.syntax_error().map(ToString::to_string);
        let why = why.as_deref().and_then(|report| report.rsplit("error: ").next());
        let why = match (why, error.size_limit()) {
            (Some(why), _) => why.trim().to_owned(),
            (None, Some(limit)) => format!("it needs more than {} KiB", limit >> 10),
            (None, None) => error.to_string(),
        };
        self.report.error(text.at, format!("this regular expression cannot be used: {why}"), hint);
        None
    }
}
