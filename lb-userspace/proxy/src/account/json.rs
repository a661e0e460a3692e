//! JSON objects written straight into a buffer.

use std::io::Write;

/// An object under construction at the end of a buffer.
pub(super) struct Object<'a> {
    line: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, is_empty: true }
    }

    /// Begins a member; what is appended to the buffer next must be its value.
    pub(super) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.line.push(b',');
        }
        self.is_empty = false;
        string(self.line, name);
        self.line.push(b':');
        self.line
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        string(self.member(name), value);
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.member(name).extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Microseconds as milliseconds with three digits after the point.
    pub(super) fn milliseconds(&mut self, name: &str, us: u128) {
        // Writing to a vector does not fail.
        write!(self.member(name), "{}.{:03}", us / 1_000, us % 1_000).ok();
    }

    pub(super) fn end(self) {
        self.line.push(b'}');
    }
}

/// A string with what JSON wants escaped (RFC 8259, section 7).
fn string(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\')) {
        line.extend_from_slice(text.as_bytes());
    } else {
        text.bytes().for_each(|byte| escaped(line, byte));
    }
    line.push(b'"');
}

fn escaped(line: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
        // Writing to a vector does not fail.
        0..=0x1f => write!(line, "\\u{byte:04x}").unwrap_or_default(),
        _ => line.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_a_reader(name in ".*", value in "\\PC*|.*", number: u64) {
            let mut line = Vec::new();
            let mut object = Object::begin(&mut line);
            object.text(&format!("a{name}"), &value);
            object.number("n", number);
            object.milliseconds("ms", u128::from(number));
            object.end();
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(read[format!("a{name}")].as_str(), Some(value.as_str()));
            prop_assert_eq!(read["n"].as_u64(), Some(number));
        }
    }
}
