//! The hash of names: the same on every router, so it is written down here rather than taken
//! from a library that may change it.

/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), fed piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Fnv {
    /// FNV-1a's offset basis.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// With `bytes` hashed in.
    pub fn with(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// The hash so far.
    pub const fn finish(self) -> u64 {
        self.0
    }
}

/// MurmurHash3's 64-bit finaliser (Appleby, public domain): every input bit changes every output
/// bit with probability one half, which FNV-1a alone does not give short names.
pub const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_vectors() {
        // RFC 9923 and the FNV authors' test suite.
        assert_eq!(Fnv::new().with(b"").finish(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::new().with(b"a").finish(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::new().with(b"foobar").finish(), 0x8594_4171_f739_67e8);
        // SMHasher's fmix64 of 1.
        assert_eq!(mix(0), 0);
        assert_eq!(mix(1), 0xb456_bcfc_34c2_cb2c);
    }
}
