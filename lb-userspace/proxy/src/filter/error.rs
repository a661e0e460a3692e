//! Why filters cannot be compiled.

use std::borrow::Cow;

/// A filter that cannot be as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{filter}: `{text}`: {why}")]
pub struct FilterError {
    /// Name of the filter.
    pub filter: &'static str,
    /// The text that is wrong.
    pub text: String,
    /// What is wrong with it.
    pub why: Cow<'static, str>,
}

impl FilterError {
    pub(super) fn new(
        filter: &'static str,
        text: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { filter, text: text.into(), why: why.into() }
    }
}
