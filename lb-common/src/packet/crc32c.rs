//! SCTP's checksum, CRC32c over the whole packet (RFC 9260 section 6.8 and appendix A), and how it
//! changes with the ports without a look at the rest of the packet.
//!
//! A CRC is linear: two packets that differ in their ports have checksums that differ by the CRC
//! (without its complements) of that difference, followed by as many zeros as there are bytes after
//! the ports. That is the difference times `x` to the number of the packet's bits, modulo the
//! polynomial: two multiplications and two numbers from tables, whatever the packet's length.

/// The Castagnoli polynomial, bits reversed: the highest bit stands for `x` to the 0.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `x` to the 0.
const ONE: u32 = 1 << 31;

/// `x` to 8 times the index.
static LOW: [u32; 256] = powers(8);

/// `x` to 8 * 256 times the index.
static HIGH: [u32; 256] = powers(8 * 256);

/// What the checksum (as a little-endian number) of a packet of `bytes` (below 65,536) changes by,
/// by exclusive or, when its first four bytes (as a little-endian number) change by `difference`.
#[expect(clippy::indexing_slicing, reason = "a byte is an index of 256 words")]
#[inline(always)]
pub fn change(difference: u32, bytes: u32) -> u32 {
    let low = LOW[(bytes & 0xff) as usize];
    let high = HIGH[(bytes >> 8 & 0xff) as usize];
    product(product(difference, low), high)
}

/// The checksum of bytes, as a little-endian number; those of the checksum field must be zero.
pub fn of(bytes: &[u8]) -> u32 {
    let remainder = bytes.iter().fold(u32::MAX, |remainder, byte| {
        (0..8).fold(remainder ^ *byte as u32, |remainder, _| times_x(remainder))
    });
    !remainder
}

/// The product of two polynomials, by Horner's scheme: the highest power of `a` first, which is its
/// lowest bit.
///
/// Without a branch, and with each turn built on the one before: the verifier walks one way, and the
/// compiler holds no more than the sum and the factors.
#[inline(always)]
const fn product(a: u32, b: u32) -> u32 {
    let (mut sum, mut turn) = (0, 0);
    while turn < u32::BITS {
        sum = times_x(sum) ^ b & mask(a >> turn & 1);
        turn += 1;
    }
    sum
}

#[inline(always)]
const fn times_x(a: u32) -> u32 {
    a >> 1 ^ POLYNOMIAL & mask(a & 1)
}

/// All ones if the bit is 1.
#[inline(always)]
const fn mask(bit: u32) -> u32 {
    0_u32.wrapping_sub(bit)
}

/// Powers of `x` to the `bits`.
#[expect(clippy::indexing_slicing, reason = "done by the compiler")]
const fn powers(bits: u32) -> [u32; 256] {
    let mut base = ONE;
    let mut bit = 0;
    while bit < bits {
        base = times_x(base);
        bit += 1;
    }
    let mut powers = [ONE; 256];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = product(powers[index - 1], base);
        index += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_check_value_of_the_catalogue() {
        // CRC-32/ISCSI in the catalogue of parametrised CRC algorithms; RFC 3720 appendix B.4.
        assert_eq!(of(b"123456789"), 0xe306_9283);
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_change_of_the_first_word_equals_recomputation() {
        let mut random = 1_u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random
        };
        for length in (12..600).chain([1_452, 1_480, 4_095, 4_096, 9_000, 65_515, 65_535]) {
            let packet: Vec<u8> = (0..length).map(|_| (next() >> 24) as u8).collect();
            let mut changed = packet.clone();
            let word = next();
            changed[..4].copy_from_slice(&word.to_le_bytes());
            let first = u32::from_le_bytes([packet[0], packet[1], packet[2], packet[3]]);
            let difference = change(first ^ word, length);
            assert_eq!(of(&packet) ^ difference, of(&changed), "{length} bytes");
        }
    }
}
