//! Bytes of a header block, integers (RFC 7541, section 5.1) and strings (section 5.2).

use super::{HpackError, huffman};

/// Bytes that may follow an integer's first: 28 bits, more than any block has bytes.
const FOLLOWING_MAX: u32 = 4;
/// Top bit of a string's length: it is Huffman-coded.
const IS_HUFFMAN: u8 = 0x80;

/// The rest of a block.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// The integer whose first byte is `first`, in its `bits` lowest bits.
    pub(super) fn integer(&mut self, first: u8, bits: u32) -> Result<usize, HpackError> {
        let max = (1_usize << bits) - 1;
        let mut value = usize::from(first) & max;
        if value < max {
            return Ok(value);
        }
        for place in 0..FOLLOWING_MAX {
            let byte = self.byte().ok_or(HpackError)?;
            value += usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(HpackError)
    }

    /// Adds a string to `output`.
    pub(super) fn string(&mut self, output: &mut Vec<u8>) -> Result<(), HpackError> {
        let first = self.byte().ok_or(HpackError)?;
        let length = self.integer(first, 7)?;
        let text = self.take(length)?;
        if first & IS_HUFFMAN != 0 {
            return huffman::decode(text, output);
        }
        output.extend_from_slice(text);
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HpackError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HpackError)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Writes an integer behind `flags` in its first byte's upper bits.
pub(super) fn write(output: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let max = (1_usize << bits) - 1;
    if value < max {
        output.push(flags | value as u8);
        return;
    }
    output.push(flags | max as u8);
    let mut rest = value - max;
    while rest >= 0x80 {
        output.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    output.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], bits: u32) -> Result<usize, HpackError> {
        let mut reader = Reader(bytes);
        let first = reader.byte().unwrap();
        let value = reader.integer(first, bits)?;
        assert!(reader.0.is_empty());
        Ok(value)
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, appendix C.1.
        assert_eq!(read(&[0b1110_1010], 5), Ok(10));
        assert_eq!(read(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Ok(1_337));
        assert_eq!(read(&[42], 8), Ok(42));
        assert_eq!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0], 5), Err(HpackError));
        assert_eq!(read(&[0x1f, 0x80], 5), Err(HpackError));
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(value in 0_usize..(1 << 28), bits in 4_u32..8) {
            let mut bytes = Vec::new();
            write(&mut bytes, 0, bits, value);
            prop_assert_eq!(read(&bytes, bits), Ok(value));
        }
    }
}
