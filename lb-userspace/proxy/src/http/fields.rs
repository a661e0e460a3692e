//! Header fields: one buffer and where names and values are in it, so that a header section that
//! came in as bytes is neither copied field by field nor hashed.

use super::{FieldName, Known};
use std::{fmt, ops::Range};

/// Fields in the order they came, names in the case they came in. Removed and replaced ones leave
/// their bytes behind; a header section has a limit, and so has what filters add.
///
/// Small, since requests and responses are handed from one to the next.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Fields that there is room for at first: most messages have fewer, with what filters add.
const SPANS: usize = 24;

/// A piece of the buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    start: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    name: Slice,
    value: Slice,
    known: Known,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields yet; those that [`Fields::mark`] adds are pieces of `bytes` (less than 4 GiB).
    pub fn over(bytes: Vec<u8>) -> Self {
        Self { bytes, spans: Vec::with_capacity(SPANS) }
    }

    /// Adds a field whose name and value are in the buffer already. Ranges outside it are empty.
    pub fn mark(&mut self, name: Range<usize>, value: Range<usize>) {
        let (name, value) = (self.slice_of(name), self.slice_of(value));
        let known = Known::of(self.text(name));
        self.spans.push(Span { name, value, known });
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldName<'_>, &[u8])> {
        self.spans.iter().map(|span| (self.name(span), self.text(span.value)))
    }

    /// The first value of this name.
    pub fn first<'a>(&self, name: impl Into<FieldName<'a>>) -> Option<&[u8]> {
        let name = name.into();
        let span = self.spans.iter().find(|span| self.is_named(span, name))?;
        Some(self.text(span.value))
    }

    /// All values of this name, in order.
    pub fn all<'a>(&self, name: impl Into<FieldName<'a>>) -> impl Iterator<Item = &[u8]> {
        let name = name.into();
        let named = self.spans.iter().filter(move |span| self.is_named(span, name));
        named.map(|span| self.text(span.value))
    }

    /// Whether there is a field of this name.
    pub fn contains<'a>(&self, name: impl Into<FieldName<'a>>) -> bool {
        self.first(name).is_some()
    }

    /// Adds a field at the end. The caller answers for name and value being valid.
    pub fn append<'a>(&mut self, name: impl Into<FieldName<'a>>, value: &[u8]) {
        let name = name.into();
        let known = name.known();
        let (name, value) = (self.store(name.text()), self.store(value));
        self.spans.push(Span { name, value, known });
    }

    /// Makes this the only field of the name, in the place of the first.
    pub fn set<'a>(&mut self, name: impl Into<FieldName<'a>>, value: &[u8]) {
        let name = name.into();
        let Some(place) = self.spans.iter().position(|span| self.is_named(span, name)) else {
            self.append(name, value);
            return;
        };
        let value = self.store(value);
        let mut index = 0;
        let bytes = &self.bytes;
        self.spans.retain(|span| {
            index += 1;
            index <= place + 1 || !is_named(bytes, span, name)
        });
        if let Some(span) = self.spans.get_mut(place) {
            span.value = value;
        }
    }

    /// Removes all fields of the name; whether there were any.
    pub fn remove<'a>(&mut self, name: impl Into<FieldName<'a>>) -> bool {
        let name = name.into();
        let before = self.spans.len();
        let bytes = &self.bytes;
        self.spans.retain(|span| !is_named(bytes, span, name));
        self.spans.len() < before
    }

    /// Keeps the fields that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(FieldName<'_>, &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.spans.retain(|span| {
            let name = name_of(bytes, span);
            keep(name, text_of(bytes, span.value))
        });
    }

    /// Puts `bytes` into the buffer without a field, for what belongs to the same header section.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Slice {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.slice_of(start..self.bytes.len())
    }

    /// A piece of the buffer; empty if the range is outside it.
    pub(crate) fn slice_of(&self, range: Range<usize>) -> Slice {
        match (u32::try_from(range.start), u32::try_from(range.len())) {
            (Ok(start), Ok(length)) if range.end <= self.bytes.len() => Slice { start, length },
            _ => Slice::default(),
        }
    }

    /// The bytes of a piece.
    pub(crate) fn text(&self, slice: Slice) -> &[u8] {
        text_of(&self.bytes, slice)
    }

    fn name<'a>(&'a self, span: &Span) -> FieldName<'a> {
        name_of(&self.bytes, span)
    }

    fn is_named(&self, span: &Span, name: FieldName<'_>) -> bool {
        is_named(&self.bytes, span, name)
    }
}

fn text_of(bytes: &[u8], slice: Slice) -> &[u8] {
    let start = slice.start as usize;
    bytes.get(start..start + slice.length as usize).unwrap_or_default()
}

fn name_of<'a>(bytes: &'a [u8], span: &Span) -> FieldName<'a> {
    FieldName::with_number(text_of(bytes, span.name), span.known)
}

fn is_named(bytes: &[u8], span: &Span, name: FieldName<'_>) -> bool {
    match name.known() {
        Known::Other => {
            span.known == Known::Other
                && text_of(bytes, span.name).eq_ignore_ascii_case(name.text())
        }
        known => span.known == known,
    }
}

impl Slice {
    /// A piece of this piece: from `start` on, `length` bytes, as far as there are so many.
    pub(crate) fn part(self, start: usize, length: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX).min(self.length);
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(self.length - start);
        Self { start: self.start + start, length }
    }

    /// Length, bytes.
    pub(crate) fn len(self) -> usize {
        self.length as usize
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_map()
            .entries(self.iter().map(|(name, it)| (lossy(name.text()), lossy(it))))
            .finish()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(fields: I) -> Self {
        let mut all = Self::new();
        for (name, value) in fields {
            all.append(name, value.as_bytes());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(fields: &Fields) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        fields.iter().map(|(name, value)| (text(name.text()), text(value))).collect()
    }

    #[test]
    fn names_are_found_in_any_case_and_kept_as_they_came() {
        let mut fields = Fields::over(b"HOST: a\r\nX-One: 1\r\nx-one: 2\r\n".to_vec());
        fields.mark(0..4, 6..7);
        fields.mark(9..14, 16..17);
        fields.mark(19..24, 26..27);
        assert_eq!(fields.first(Known::Host), Some(&b"a"[..]));
        assert_eq!(fields.all("X-ONE").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(listed(&fields)[1], ("X-One".to_owned(), "1".to_owned()));
    }

    #[test]
    fn set_leaves_one_field_in_the_place_of_the_first() {
        let mut fields: Fields = [("a", "1"), ("b", "2"), ("A", "3")].into_iter().collect();
        fields.set("a", b"9");
        fields.set("c", b"4");
        let expected = [("a", "9"), ("b", "2"), ("c", "4")];
        assert_eq!(listed(&fields), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(fields.remove("B") && !fields.remove("B"));
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn ranges_outside_the_buffer_are_empty() {
        let mut fields = Fields::over(b"abc".to_vec());
        fields.mark(0..9, 3..5);
        assert_eq!(listed(&fields), [(String::new(), String::new())]);
    }
}
