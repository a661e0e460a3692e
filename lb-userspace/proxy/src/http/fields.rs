//! Header fields: one buffer and where names and values are in it, so that a header section that
//! came in as bytes is neither copied field by field nor hashed.

use super::{FieldName, Known, guard};
use std::{fmt, iter, ops::Range};

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
    /// The field is valid, and the buffer has it as a line: `name: value`, CRLF.
    is_line: bool,
}

/// Where the fields of a header section are in it.
#[derive(Debug)]
pub struct Marks(Vec<Span>);

/// A part of a header section that is to be written.
pub(crate) enum Part<'a> {
    /// Lines of valid fields.
    Lines(&'a [u8]),
    /// A field that may not be valid.
    Field(FieldName<'a>, &'a [u8]),
}

impl Default for Marks {
    fn default() -> Self {
        Self(Vec::with_capacity(SPANS))
    }
}

impl Marks {
    /// Adds a field whose name and value are at these places. `is_line`: it is valid, and
    /// there is one space between name and value, and CRLF behind.
    pub fn push(&mut self, known: Known, name: Range<usize>, value: Range<usize>, is_line: bool) {
        let (name, value) = (Slice::of(&name), Slice::of(&value));
        self.0.push(Span { name, value, known, is_line });
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fields that `marks` tell of in `bytes` (less than 4 GiB), and room for more. Marks
    /// outside it are empty.
    pub fn over(bytes: Vec<u8>, marks: Marks) -> Self {
        Self { bytes, spans: marks.0 }
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
        let place = self.begin_line(name, value.len());
        self.bytes.extend_from_slice(value);
        self.end_line(name, place, value.len(), is_valid(name, value));
    }

    /// As [`Fields::append`], with a value that is in the buffer.
    pub(crate) fn append_stored(&mut self, name: Known, value: Slice) {
        let text = self.text(value);
        let (length, is_line) = (text.len(), is_valid(name.into(), text));
        let place = self.begin_line(name.into(), length);
        if length > 0 {
            let start = value.start as usize;
            self.bytes.extend_from_within(start..start + length);
        }
        self.end_line(name.into(), place, length, is_line);
    }

    /// Writes a name and what follows it; where that begins.
    fn begin_line(&mut self, name: FieldName<'_>, value_bytes: usize) -> usize {
        let start = self.bytes.len();
        self.bytes.reserve(name.text().len() + value_bytes + 4);
        self.bytes.extend_from_slice(name.text());
        self.bytes.extend_from_slice(b": ");
        start
    }

    /// Ends the line of a value that was written, and adds its field.
    fn end_line(&mut self, name: FieldName<'_>, start: usize, length: usize, is_line: bool) {
        self.bytes.extend_from_slice(b"\r\n");
        let (known, name_end) = (name.known(), start + name.text().len());
        let name = Slice::of(&(start..name_end));
        let value = Slice::of(&(name_end + 2..name_end + 2 + length));
        self.spans.push(Span { name, value, known, is_line });
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
            (span.value, span.is_line) = (value, false);
        }
    }

    /// Removes all fields of the name; whether there were any.
    pub fn remove<'a>(&mut self, name: impl Into<FieldName<'a>>) -> bool {
        let name = name.into();
        if !self.spans.iter().any(|span| self.is_named(span, name)) {
            return false;
        }
        let bytes = &self.bytes;
        self.spans.retain(|span| !is_named(bytes, span, name));
        true
    }

    /// Keeps the fields that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(FieldName<'_>, &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.spans.retain(|span| {
            let name = name_of(bytes, span);
            keep(name, text_of(bytes, span.value))
        });
    }

    /// The fields that `keeps` names, as few parts as they can be written in.
    pub(crate) fn parts(&self, keeps: impl Fn(Known) -> bool) -> impl Iterator<Item = Part<'_>> {
        let mut spans = self.spans.iter().filter(move |it| keeps(it.known)).peekable();
        iter::from_fn(move || {
            let span = spans.next()?;
            if !span.is_line {
                return Some(Part::Field(self.name(span), self.text(span.value)));
            }
            let mut lines = span.line();
            while let Some(next) =
                spans.next_if(|it| it.is_line && it.name.start == lines.start + lines.length)
            {
                lines.length += next.line().length;
            }
            Some(Part::Lines(self.text(lines)))
        })
    }

    /// Where the first value of this name is.
    pub(crate) fn place(&self, name: Known) -> Option<Slice> {
        self.spans.iter().find(|it| it.known == name).map(|it| it.value)
    }

    /// Puts `bytes` into the buffer without a field, for what belongs to the same header section.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Slice {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Slice::of(&(start..self.bytes.len()))
    }

    /// The bytes of a piece; none of one outside the buffer.
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

/// Whether a field is what it looks like. Names that have a number need no look.
pub(crate) fn is_valid(name: FieldName<'_>, value: &[u8]) -> bool {
    let is_name = name.known() != Known::Other || guard::field_name(name.text()).is_ok();
    is_name && guard::field_value(value).is_ok()
}

impl Span {
    /// All of its line.
    const fn line(&self) -> Slice {
        let end = self.value.start + self.value.length + 2;
        Slice { start: self.name.start, length: end - self.name.start }
    }
}

impl Slice {
    /// The piece there; empty beyond 4 GiB.
    pub(crate) fn of(range: &Range<usize>) -> Self {
        match (u32::try_from(range.start), u32::try_from(range.len())) {
            (Ok(start), Ok(length)) => Self { start, length },
            _ => Self::default(),
        }
    }

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
        let mut marks = Marks::default();
        marks.push(Known::Host, 0..4, 6..7, true);
        marks.push(Known::Other, 9..14, 16..17, true);
        marks.push(Known::Other, 19..24, 26..27, true);
        let fields = Fields::over(b"HOST: a\r\nX-One: 1\r\nx-one: 2\r\n".to_vec(), marks);
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
        let mut marks = Marks::default();
        marks.push(Known::Other, 0..9, 3..5, false);
        let fields = Fields::over(b"abc".to_vec(), marks);
        assert_eq!(listed(&fields), [(String::new(), String::new())]);
    }

    fn written(fields: &Fields) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parts = fields.parts(|known| known != Known::Te).map(|part| match part {
            Part::Lines(lines) => text(lines),
            Part::Field(name, value) => format!("{}?{}", text(name.text()), text(value)),
        });
        parts.collect()
    }

    #[test]
    fn fields_are_written_in_few_parts_and_only_valid_ones_as_they_are() {
        let mut fields: Fields =
            [("a", "1"), ("B", "2"), ("te", "3"), ("c", "4")].into_iter().collect();
        assert_eq!(written(&fields), ["a: 1\r\nB: 2\r\n", "c: 4\r\n"]);
        fields.remove("te");
        fields.append("d e", b"5");
        fields.append("f", b"6\r\ng: 7");
        fields.append("h", b" 8");
        fields.append("", b"9");
        fields.append(Known::Via, b"i");
        fields.set("b", b"0\n");
        let expected =
            ["a: 1\r\n", "B?0\n", "c: 4\r\n", "d e?5", "f?6\r\ng: 7", "h? 8", "?9", "via: i\r\n"];
        assert_eq!(written(&fields), expected);
        let value = fields.store(b"j");
        fields.append_stored(Known::Etag, Slice::of(&(0..9_000)));
        fields.append_stored(Known::Age, value);
        assert_eq!(written(&fields)[8..], ["etag: \r\nage: j\r\n"]);
    }
}
