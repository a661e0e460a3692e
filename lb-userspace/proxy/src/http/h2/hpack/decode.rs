//! Blocks to fields.

use super::{Header, HpackError, Name, integer::Reader, table::Table};

/// The dynamic table that a peer may use, bytes: what it may do before it hears of any other
/// (RFC 9113, section 6.5.2).
const TABLE_BYTES_MAX: usize = 4_096;
/// Text of a field is kept in a buffer; one larger than this is not kept for the next.
const TEXT_BYTES_KEPT: usize = 1_024;

/// Reads the blocks of one connection, all of them and in order.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    text: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: Table::new(TABLE_BYTES_MAX), text: Vec::new() }
    }
}

impl Decoder {
    /// Gives the fields of a block to `take`, in order. What is too much the taker has to say for
    /// itself: the whole block must be read, as later ones depend on it.
    ///
    /// # Errors
    /// [`HpackError`] if it cannot be read.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(Header<'_>),
    ) -> Result<(), HpackError> {
        let mut reader = Reader(block);
        let mut is_begin = true;
        while let Some(first) = reader.byte() {
            match first {
                0x80.. => {
                    let index = reader.integer(first, 7)?;
                    take(self.table.find(index).ok_or(HpackError)?);
                }
                0x40.. => self.literal(&mut reader, first, 6, &mut take)?,
                0x20.. => {
                    let size = reader.integer(first, 5)?;
                    if !is_begin || size > TABLE_BYTES_MAX {
                        return Err(HpackError);
                    }
                    self.table.resize(size);
                    continue;
                }
                _ => self.literal(&mut reader, first, 4, &mut take)?,
            }
            is_begin = false;
        }
        if self.text.capacity() > TEXT_BYTES_KEPT {
            self.text = Vec::new();
        }
        Ok(())
    }

    /// A field in text, at least its value; the number of its name has so many bits.
    fn literal(
        &mut self,
        reader: &mut Reader<'_>,
        first: u8,
        bits: u32,
        take: &mut impl FnMut(Header<'_>),
    ) -> Result<(), HpackError> {
        let Self { table, text } = self;
        text.clear();
        let index = reader.integer(first, bits)?;
        let name = if index == 0 {
            reader.string(text)?;
            Name::of(text)
        } else {
            let known = table.find(index).ok_or(HpackError)?;
            text.extend_from_slice(known.text);
            known.name
        };
        let name_bytes = text.len();
        reader.string(text)?;
        let (name_text, value) = text.split_at_checked(name_bytes).unwrap_or_default();
        let header = Header::new(name_text, value, name);
        take(header);
        // Six bits: it gets a number.
        if bits == 6 {
            table.insert(header);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Encoder, huffman},
        *,
    };
    use crate::http::{FieldName, Known};
    use proptest::prelude::*;

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
        let mut fields = Fields::new();
        decoder.decode(block, |it| fields.push((it.text.to_vec(), it.value.to_vec())))?;
        Ok(fields)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |it: &[u8]| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    fn text(fields: &Fields) -> String {
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        fields.iter().map(line).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, appendix C.3 and C.4.
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let huffman = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        let expected = [
            ":method: GET|:scheme: http|:path: /|:authority: www.example.com",
            ":method: GET|:scheme: http|:path: /|:authority: www.example.com|cache-control: no-cache",
            ":method: GET|:scheme: https|:path: /index.html|:authority: www.example.com|\
             custom-key: custom-value",
        ];
        for blocks in [plain, huffman] {
            let mut decoder = Decoder::default();
            for (block, expected) in blocks.into_iter().zip(expected) {
                assert_eq!(text(&decoded(&mut decoder, &bytes(block)).unwrap()), expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_read() {
        for bad in ["80", "c6", "7f07 00", "82 21", "3fe2 1f", "40", "00 01", "00 81 ff 00"] {
            assert!(decoded(&mut Decoder::default(), &bytes(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            text(&decoded(&mut Decoder::default(), &bytes("20 3fe1 1f 82")).unwrap()),
            ":method: GET"
        );
    }

    /// A field as a peer may write it: with an index or without, Huffman-coded or not.
    fn literal(flags: u8, is_huffman: bool, name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut block = vec![flags];
        for text in [name, value] {
            let coded = if is_huffman { huffman::encode(text) } else { text.to_vec() };
            super::super::integer::write(&mut block, u8::from(is_huffman) << 7, 7, coded.len());
            block.extend(coded);
        }
        block
    }

    proptest! {
        #[test]
        fn what_a_peer_wrote_comes_back_and_comes_back_by_its_number(
            fields in prop::collection::vec(
                ("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..60), any::<bool>()),
                1..20,
            ),
        ) {
            let mut decoder = Decoder::default();
            let expected: Fields =
                fields.iter().map(|it| (it.0.clone().into_bytes(), it.1.clone())).collect();
            let block: Vec<u8> = fields
                .iter()
                .flat_map(|it| literal(0x40, it.2, it.0.as_bytes(), &it.1))
                .collect();
            prop_assert_eq!(decoded(&mut decoder, &block), Ok(expected.clone()));
            let numbers: Vec<u8> = (0..fields.len()).map(|it| 0xbe + it as u8).collect();
            let reversed: Fields = expected.into_iter().rev().collect();
            prop_assert_eq!(decoded(&mut decoder, &numbers), Ok(reversed));
        }

        #[test]
        fn what_we_write_comes_back(
            status in 200_u16..600,
            fields in prop::collection::vec(
                (prop::sample::select(vec!["server", "date", "x-one", "set-cookie", "via"]), "[ -~]{0,300}"),
                0..20,
            ),
        ) {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            for _ in 0..2 {
                let mut block = Vec::new();
                encoder.begin(&mut block);
                encoder.status(&mut block, status);
                let mut expected = vec![(b":status".to_vec(), status.to_string().into_bytes())];
                for (name, value) in &fields {
                    encoder.field(&mut block, FieldName::from(*name), value.as_bytes());
                    expected.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
                }
                prop_assert_eq!(decoded(&mut decoder, &block), Ok(expected));
            }
        }

        #[test]
        fn no_block_makes_it_panic_or_grow(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
        ) {
            let mut decoder = Decoder::default();
            for block in blocks {
                let mut count = 0;
                decoder.decode(&block, |it| {
                    count += 1;
                    assert!(it.name != Name::Field(Known::Host) || it.text == b"host");
                })
                .ok();
                prop_assert!(count <= block.len());
                prop_assert!(decoder.text.capacity() <= 4 * TEXT_BYTES_KEPT);
            }
        }
    }
}
