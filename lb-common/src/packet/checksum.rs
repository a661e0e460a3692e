//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Sums are taken over native 16-bit words as loaded: ones'-complement addition gives the same
//! bytes in memory whatever the byte order (RFC 1071 section 2B).

use crate::abi::Words;

/// An unfolded ones'-complement sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds a 16-bit word.
    #[inline(always)]
    pub const fn add16(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds a 32-bit word (two 16-bit words at an even offset).
    #[inline(always)]
    pub const fn add32(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds an address.
    #[inline(always)]
    pub const fn add_words(self, words: Words) -> Self {
        self.add32(words[0]).add32(words[1]).add32(words[2]).add32(words[3])
    }

    /// Records that `old` becomes `new`: adds the complement of the old (RFC 1624 eqn. 3).
    #[inline(always)]
    pub const fn replace16(self, old: u16, new: u16) -> Self {
        self.add16(!old).add16(new)
    }

    /// [`Self::replace16`] for a 32-bit word.
    #[inline(always)]
    pub const fn replace32(self, old: u32, new: u32) -> Self {
        self.add32(!old).add32(new)
    }

    /// [`Self::replace16`] for an address.
    #[inline(always)]
    pub const fn replace_words(self, old: Words, new: Words) -> Self {
        self.replace32(old[0], new[0])
            .replace32(old[1], new[1])
            .replace32(old[2], new[2])
            .replace32(old[3], new[3])
    }

    /// The sum folded to 16 bits.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum as u32).wrapping_add((sum >> 32) as u32);
        // Both halves plus their carry, in the upper half.
        (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
    }

    /// The checksum field of data with this sum.
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// The new checksum field after the recorded replacements, given the old field.
    #[inline(always)]
    pub const fn update(self, checksum: u16) -> u16 {
        self.add16(!checksum).checksum()
    }

    /// [`Self::update`] where a computed zero is sent as all ones, its other form: UDP takes zero for
    /// no checksum (RFC 768, RFC 8200 section 8.1), and of data that is all zero the sum must be it.
    #[inline(always)]
    pub const fn update_nonzero(self, checksum: u16) -> u16 {
        match self.update(checksum) {
            0 => 0xffff,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn recompute(words: &[u16]) -> u16 {
        words.iter().fold(Sum::default(), |sum, &word| sum.add16(word)).checksum()
    }

    #[test]
    fn rfc_1071_example_sums_to_ddf2() {
        let sum = [0x0001_u16, 0xf203, 0xf4f5, 0xf6f7]
            .iter()
            .fold(Sum::default(), |sum, &word| sum.add16(word));
        assert_eq!(sum.fold(), 0xddf2);
    }

    #[test]
    fn a_computed_zero_is_all_ones() {
        // 0x0001 is the checksum of 0xfffe; one more makes the sum all ones, its complement zero.
        let zero = Sum::default().replace16(0x0000, 0x0001);
        assert_eq!((zero.update(0x0001), zero.update_nonzero(0x0001)), (0, 0xffff));
        assert_eq!(zero.update_nonzero(0x0003), 0x0002);
    }

    proptest! {
        #[test]
        fn update_equals_recomputation(
            mut words in prop::collection::vec(any::<u16>(), 4..64),
            position in any::<prop::sample::Index>(),
            new in any::<u32>(),
        ) {
            let at = position.index(words.len() - 1) & !1;
            let before = recompute(&words);
            let old = [words[at], words[at + 1]];
            let new_words = [new as u16, (new >> 16) as u16];
            words[at] = new_words[0];
            words[at + 1] = new_words[1];
            let after = Sum::default()
                .replace16(old[0], new_words[0])
                .replace16(old[1], new_words[1])
                .update(before);
            let wide = Sum::default()
                .replace32(u32::from(old[0]) | u32::from(old[1]) << 16, new)
                .update(before);
            // 0x0000 and 0xffff are both "zero" in ones' complement; a header is never all zero.
            let expected = recompute(&words);
            prop_assert!(after == expected || (after ^ expected) == 0xffff);
            prop_assert_eq!(after, wide);
        }

        #[test]
        fn data_with_its_checksum_sums_to_all_ones(words in prop::collection::vec(any::<u16>(), 1..64)) {
            let mut all: Vec<u16> = words.clone();
            all.push(recompute(&words));
            prop_assert_eq!(recompute(&all), 0);
        }
    }
}
