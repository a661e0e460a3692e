//! Texts that are short as a rule.

use smallvec::SmallVec;
use std::{fmt, ops::Deref};

/// A text; a short one is kept in place.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Short(SmallVec<[u8; 40]>);

impl Short {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Short {
    /// What is not UTF-8 is replaced.
    fn from(bytes: &[u8]) -> Self {
        if bytes.is_ascii() {
            return Self(SmallVec::from_slice(bytes));
        }
        (*String::from_utf8_lossy(bytes)).into()
    }
}

impl From<&str> for Short {
    fn from(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl Deref for Short {
    type Target = str;

    fn deref(&self) -> &str {
        // It was made of one.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_what_they_are_and_other_bytes_are_replaced() {
        for text in ["", "shop.example", "\u{e4}", &"x".repeat(100)] {
            assert_eq!(&*Short::from(text), text);
            assert_eq!(&*Short::from(text.as_bytes()), text);
        }
        assert_eq!(&*Short::from(&b"a\xff"[..]), "a\u{fffd}");
    }
}
