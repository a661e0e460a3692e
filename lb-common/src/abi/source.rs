//! Source ranges: who may talk to a VIP that does not take everybody.

use super::{Words, pod};

/// Data of a key of `lb_sources`, a longest-prefix-match trie
/// (Documentation/bpf/map_lpm_trie.rst): the addresses of one VIP's clients. What matches no range
/// of its VIP is refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SourceRange {
    /// VIP index, which every prefix covers.
    pub vip: u32,
    /// Network address, IPv4-mapped if IPv4.
    pub address: Words,
}

/// Bits of a whole [`SourceRange`]: what a client's address is looked up with.
pub const SOURCE_BITS: u32 = 32 + 128;

/// Bits of a [`SourceRange`] in front of those of an IPv4 address.
pub const SOURCE_BITS_BEFORE_IPV4: u32 = 32 + 96;

/// Bits of a [`SourceRange`] in front of those of an IPv6 address.
pub const SOURCE_BITS_BEFORE_IPV6: u32 = 32;

pod!(SourceRange);
const _: () = assert!(size_of::<SourceRange>() == 20);
