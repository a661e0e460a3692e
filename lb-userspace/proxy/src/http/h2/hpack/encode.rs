//! Fields to blocks.

use super::{integer::write, table::number_of};
use crate::http::{FieldName, Known};

/// Writes the blocks of one connection.
#[derive(Debug, Default)]
pub struct Encoder {
    has_begun: bool,
}

impl Encoder {
    /// Begins a block. The first one says that no dynamic table is used, whatever the peer would
    /// allow (RFC 7541, section 4.2).
    pub fn begin(&mut self, block: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            block.push(0x20);
        }
    }

    /// Writes the status.
    pub fn status(&self, block: &mut Vec<u8>, status: u16) {
        let place = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            other => {
                let mut digits = itoa::Buffer::new();
                return literal(block, 8, b":status", digits.format(other).as_bytes());
            }
        };
        block.push(0x80 | place);
    }

    /// Writes a field, its name in lower case.
    pub fn field(&self, block: &mut Vec<u8>, name: FieldName<'_>, value: &[u8]) {
        let known = name.known();
        let text = if known == Known::Other { name.text() } else { known.text().as_bytes() };
        literal(block, number_of(known), text, value);
    }
}

/// A literal without an index (RFC 7541, section 6.2.2); `number` is that of the name, or 0.
fn literal(block: &mut Vec<u8>, number: usize, text: &[u8], value: &[u8]) {
    write(block, 0, 4, number);
    if number == 0 {
        write(block, 0, 7, text.len());
        let begin = block.len();
        block.extend_from_slice(text);
        block.get_mut(begin..).unwrap_or_default().make_ascii_lowercase();
    }
    write(block, 0, 7, value.len());
    block.extend_from_slice(value);
}
