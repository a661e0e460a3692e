//! Bytes looked at eight at a time: where what a head consists of ends.

/// A one in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
/// The high bit of each byte of a word.
const HIGH: u64 = ONES << 7;

/// Bytes before the first that no field name has: all are visible ASCII, and none is a colon. Not
/// all of these make a token.
pub(super) fn name_bytes(bytes: &[u8]) -> usize {
    first(bytes, |word| blank(word) | (word & HIGH) | equal(word, b':'))
}

/// Bytes before the first that no field value has, such as the end of its line.
pub(super) fn text_bytes(bytes: &[u8]) -> usize {
    let is_control = |word| below(word, b' ') | equal(word, 0x7f);
    let mut at = first(bytes, is_control);
    // The one control byte that may be in it is rare.
    while bytes.get(at) == Some(&b'\t') {
        at += 1;
        at += first(bytes.get(at..).unwrap_or_default(), is_control);
    }
    at
}

/// Bytes before the first space or control byte.
pub(super) fn word_bytes(bytes: &[u8]) -> usize {
    first(bytes, blank)
}

/// Bytes of a path's begin that are as they should be, and of which nothing needs a closer look: no
/// query, percent encodings or dots.
pub(super) fn plain_path_bytes(bytes: &[u8]) -> usize {
    first(bytes, |word| {
        let special = equal(word, b'#') | equal(word, b'%') | equal(word, b'\\');
        blank(word) | (word & HIGH) | special | equal(word, b'?') | equal(word, b'.')
    })
}

/// Bytes before the first for which `stops` sets the high bit; behind that, it may set any.
fn first(bytes: &[u8], stops: impl Fn(u64) -> u64) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let stop = stops(u64::from_le_bytes(*word));
        if stop != 0 {
            return 8 * index + place(stop);
        }
    }
    if rest.is_empty() {
        return bytes.len();
    }
    // Zeros behind them stop at the latest.
    let word = match bytes.last_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word) >> (8 * (8 - rest.len())),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    8 * words.len() + place(stops(word)).min(rest.len())
}

/// The first byte whose high bit is set; 8 = none.
const fn place(word: u64) -> usize {
    word.trailing_zeros() as usize / 8
}

/// Marks spaces, control bytes and DEL.
const fn blank(word: u64) -> u64 {
    below(word, b' ' + 1) | equal(word, 0x7f)
}

/// Marks bytes of this value. A borrow may mark one more behind such a byte, but none where there is
/// none before.
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Marks bytes below `limit`, which is at most 0x80; as [`equal`].
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_visible(byte: u8) -> bool {
        byte > b' ' && byte != 0x7f
    }

    proptest! {
        #[test]
        fn words_at_once_say_what_bytes_say(
            bytes in proptest::collection::vec(
                prop_oneof![
                    20 => b'a'..=b'z', 2 => b' '..=b'~', 1 => Just(b'\t'), 1 => any::<u8>()
                ],
                0..40,
            ),
        ) {
            let before = |is_in: &dyn Fn(u8) -> bool| {
                bytes.iter().position(|it| !is_in(*it)).unwrap_or(bytes.len())
            };
            let is_name = |it: u8| is_visible(it) && it.is_ascii() && it != b':';
            prop_assert_eq!(name_bytes(&bytes), before(&is_name));
            let is_text = |it: u8| it == b'\t' || it == b' ' || is_visible(it);
            prop_assert_eq!(text_bytes(&bytes), before(&is_text));
            prop_assert_eq!(word_bytes(&bytes), before(&is_visible));
            let is_plain = |it: u8| is_visible(it) && it.is_ascii() && !b"#%\\?.".contains(&it);
            prop_assert_eq!(plain_path_bytes(&bytes), before(&is_plain));
        }
    }
}
