//! Regular expressions over whole texts, in linear time.

use regex_automata::{
    meta::{Config, Regex},
    util::syntax,
};
use std::fmt;

/// Bytes that a compiled expression may take. RE2's own default is 8 MiB; routes need far less,
/// and there may be thousands.
const PATTERN_BYTES_MAX: usize = 256 * 1_024;

/// Bytes of an expression's text, at most (as `HTTPPathMatch.value` of the Gateway API).
const TEXT_BYTES_MAX: usize = 1_024;

/// An expression that must match a whole text. Bytes that are not UTF-8 match nothing but `(?-u:.)`.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a usable regular expression: {why}")]
pub struct PatternError {
    text: String,
    why: String,
}

impl PatternError {
    /// What is wrong.
    pub(crate) fn why(&self) -> String {
        self.why.clone()
    }
}

impl Pattern {
    /// Compiles an expression.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let regex = regex(text, &format!("^(?:{text})$"))?;
        Ok(Self { text: text.into(), regex })
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The expression.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Compiles `expression`, which is made of `text`, over bytes that need not be UTF-8.
pub(crate) fn regex(text: &str, expression: &str) -> Result<Regex, PatternError> {
    let wrong = |why: String| PatternError { text: text.to_owned(), why };
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong(format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let config = Config::new()
        .nfa_size_limit(Some(PATTERN_BYTES_MAX))
        .onepass_size_limit(Some(PATTERN_BYTES_MAX))
        .hybrid_cache_capacity(PATTERN_BYTES_MAX)
        .utf8_empty(false);
    Regex::builder()
        .configure(config)
        .syntax(syntax::Config::new().utf8(false))
        .build(expression)
        .map_err(|error| wrong(reason(&error)))
}

fn reason(error: &regex_automata::meta::BuildError) -> String {
    match (error.syntax_error(), error.size_limit()) {
        (Some(syntax), _) => syntax.to_string(),
        (None, Some(limit)) => format!("it needs more than {limit} bytes"),
        (None, None) => error.to_string(),
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        let pattern = Pattern::new("a|b+").unwrap();
        assert!(pattern.matches(b"a") && pattern.matches(b"bb"));
        assert!(!pattern.matches(b"ab") && !pattern.matches(b"xa") && !pattern.matches(b""));
    }

    #[test]
    fn what_would_be_too_large_is_refused() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(r"(\pL{100}){1000}").is_err());
        assert!(Pattern::new(&"a".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }
}
