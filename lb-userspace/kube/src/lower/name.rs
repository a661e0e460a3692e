//! Names that the data plane keeps in its maps, which have room for 63 bytes.

/// Bytes of a name of a service or a backend (`lb_common::limits::NAME_BYTES_MAX`).
const BYTES_MAX: usize = 63;

/// Bytes of `~` and 16 digits.
const MARK_BYTES: usize = 17;

/// A name that fits: a longer one is cut, and ends in a hash of all of it.
pub(super) fn fitted(name: String) -> String {
    if name.len() <= BYTES_MAX {
        return name;
    }
    let head = name.get(..name.floor_char_boundary(BYTES_MAX - MARK_BYTES)).unwrap_or_default();
    format!("{head}~{:016x}", fnv1a(name.as_bytes()))
}

/// FNV-1a with 64 bits (draft-eastlake-fnv): not against malice, an equal name is refused later.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        assert_eq!(fitted("Service/shop/web".to_owned()), "Service/shop/web");
        let (one, other) = (fitted("ü".repeat(100)), fitted("ü".repeat(101)));
        assert!(one.len() <= BYTES_MAX && other.len() <= BYTES_MAX);
        assert_ne!(one, other);
        assert_eq!(fitted("x".repeat(63)).len(), 63);
        assert_eq!(fitted("x".repeat(64)).len(), 63);
    }
}
