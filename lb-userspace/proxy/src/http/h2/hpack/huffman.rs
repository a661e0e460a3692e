//! The Huffman code of strings (RFC 7541, section 5.2 and appendix B). It is canonical: codes of one
//! length are consecutive numbers in the order of their symbols, so the lengths say all of it.

use super::HpackError;

/// Bits of each symbol's code; the last is the end of the string (EOS), which is never sent.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const SYMBOLS: usize = 257;
const EOS: u16 = 256;
/// Longest code, bits.
const LONGEST: usize = 30;
/// Shortest code, bits.
const SHORTEST: u32 = 5;
/// Codes up to this length are found by one look.
const SHORT: u32 = 8;

/// The code, in the forms that decoding wants.
struct Code {
    /// Symbol and length of the code that eight bits begin with; length 0 = it is longer.
    short: [(u8, u8); 256],
    /// Of each length: the first code above it, with all codes written from the top bit.
    limits: [u64; LONGEST + 1],
    /// Of each length: its first code, and the place of that code's symbol.
    firsts: [(u32, u16); LONGEST + 1],
    /// Symbols by length, then by number.
    symbols: [u16; SYMBOLS],
}

static CODE: Code = code();

/// Adds what `bytes` stand for.
pub(super) fn decode(bytes: &[u8], output: &mut Vec<u8>) -> Result<(), HpackError> {
    let mut rest = bytes.iter();
    // The next bits, from the top, and how many they are.
    let (mut word, mut count) = (0_u64, 0_u32);
    loop {
        while count <= 56 {
            let Some(byte) = rest.next() else { break };
            word |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        let (symbol, length) = next(word);
        if length > count || count < SHORTEST {
            break;
        }
        output.push(u8::try_from(symbol).map_err(|_| HpackError)?);
        word <<= length;
        count -= length;
    }
    // Less than a byte of the most significant bits of EOS: ones.
    let is_padding = count < 8 && word.leading_ones() >= count;
    is_padding.then_some(()).ok_or(HpackError)
}

/// The symbol that the bits begin with, and its code's length.
fn next(word: u64) -> (u16, u32) {
    let short = CODE.short.get((word >> 56) as usize).copied().unwrap_or_default();
    if short.1 > 0 {
        return (u16::from(short.0), u32::from(short.1));
    }
    let head = word >> 32;
    let longer = CODE.limits.iter().enumerate().skip(SHORT as usize + 1);
    let length = longer.into_iter().find(|(_, limit)| head < **limit);
    let length = length.map_or(LONGEST, |(length, _)| length);
    let (first, place) = CODE.firsts.get(length).copied().unwrap_or_default();
    let code = (head >> (32 - length)) as u32;
    let place = usize::from(place) + code.wrapping_sub(first) as usize;
    (CODE.symbols.get(place).copied().unwrap_or(EOS), length as u32)
}

#[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
const fn code() -> Code {
    let mut made = Code {
        short: [(0, 0); 256],
        limits: [0; LONGEST + 1],
        firsts: [(0, 0); LONGEST + 1],
        symbols: [0; SYMBOLS],
    };
    let (mut next, mut place, mut length) = (0_u32, 0_usize, 1_usize);
    while length <= LONGEST {
        next <<= 1;
        made.firsts[length] = (next, place as u16);
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                made.symbols[place] = symbol as u16;
                if length <= SHORT as usize {
                    let spread = SHORT as usize - length;
                    let mut tail = 0;
                    while tail < 1 << spread {
                        made.short[((next as usize) << spread) + tail] =
                            (symbol as u8, length as u8);
                        tail += 1;
                    }
                }
                place += 1;
                next += 1;
            }
            symbol += 1;
        }
        made.limits[length] = (next as u64) << (32 - length);
        length += 1;
    }
    made
}

/// As a sender who saves bytes writes a string.
#[cfg(test)]
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let code_of = |symbol: u16| {
        let length = usize::from(LENGTHS[usize::from(symbol)]);
        let (first, place) = CODE.firsts[length];
        let at = CODE.symbols.iter().position(|it| *it == symbol).unwrap();
        (u64::from(first) + (at - usize::from(place)) as u64, length)
    };
    let (mut output, mut word, mut count) = (Vec::new(), 0_u64, 0);
    for byte in bytes {
        let (code, length) = code_of(u16::from(*byte));
        (word, count) = (word << length | code, count + length);
        while count >= 8 {
            count -= 8;
            output.push((word >> count) as u8);
        }
    }
    if count > 0 {
        output.push((word << (8 - count)) as u8 | (0xff >> count));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut output = Vec::new();
        decode(bytes, &mut output).ok().map(|()| output)
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, appendix C.4 and C.6.
        let rows: [(&[u8], &[u8]); 4] = [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", b"www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (b"\x64\x02", b"302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                b"https://www.example.com",
            ),
        ];
        for (code, text) in rows {
            assert_eq!(decoded(code).as_deref(), Some(text));
            assert_eq!(encode(text), code);
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for bad in
            [&b"\xff"[..], b"\xf8\xff", b"\x49\x50\x9f\xff", b"\x49\x50\x90", b"\xff\xff\xff\xff"]
        {
            assert_eq!(decoded(bad), None, "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn there_is_one_way_to_write_a_string(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(text) = decoded(&bytes) {
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
