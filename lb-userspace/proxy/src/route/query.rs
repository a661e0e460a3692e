//! Query parameters (WHATWG URL, section 5.1), decoded once per request.

use smallvec::SmallVec;
use std::borrow::Cow;

/// Parameters of a query, at most: later ones are not seen. Each costs a comparison per condition.
const PARAMETERS_MAX: usize = 256;

/// The parameters of a query, in order.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(SmallVec<[Parameter<'a>; 8]>);

type Parameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a [u8]) -> Self {
        let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        Self(pairs.take(PARAMETERS_MAX).map(parameter).collect())
    }

    /// The first value of the parameter `name`.
    pub(super) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(it, _)| **it == *name).map(|(_, value)| value.as_ref())
    }
}

fn parameter(pair: &[u8]) -> Parameter<'_> {
    let (name, value) = match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (pair, &[][..]),
    };
    (decoded(name), decoded(value))
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'+', after) => (b' ', after),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            (byte, after) => (byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_the_first_counts() {
        let query = Query::parse(b"a=1&b%20c=d+e&a=2&&f&g=%zz%4");
        assert_eq!(query.first(b"a"), Some(&b"1"[..]));
        assert_eq!(query.first(b"b c"), Some(&b"d e"[..]));
        assert_eq!(query.first(b"f"), Some(&b""[..]));
        assert_eq!(query.first(b"g"), Some(&b"%zz%4"[..]));
        assert_eq!(query.first(b""), None);
    }
}
