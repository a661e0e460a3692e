//! The flow hash. The VIP's address is left out, so that a client's flows land alike on every VIP
//! and family of a service and on every router.
//!
//! The mixing is `fmix64` of MurmurHash3 (A. Appleby, public domain): every input bit flips every
//! output bit with probability one half, at two multiplications.

use crate::abi::Words;

/// Hash of a flow from its client address and both ports (network order; both 0 for affinity).
#[inline(always)]
pub const fn flow(seed: u64, is_ipv4: bool, client: &Words, source_port: u16, port: u16) -> u32 {
    let ports = (source_port as u64) << 16 | port as u64;
    let mixed = if is_ipv4 {
        fmix64(seed ^ ((client[3] as u64) << 32 | ports))
    } else {
        let high = (client[0] as u64) << 32 | client[1] as u64;
        let low = (client[2] as u64) << 32 | client[3] as u64;
        fmix64(fmix64(seed ^ high) ^ low.wrapping_mul(K1) ^ ports.wrapping_mul(K2))
    };
    (mixed >> 32) as u32
}

const K1: u64 = 0xff51_afd7_ed55_8ccd;
const K2: u64 = 0xc4ce_b9fe_1a85_ec53;

/// MurmurHash3's 64-bit finaliser.
#[inline(always)]
pub const fn fmix64(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(K1);
    x ^= x >> 33;
    x = x.wrapping_mul(K2);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::mapped;

    #[test]
    fn hashes_spread_evenly_over_slots() {
        // 64 k flows of one client over 16 buckets: each within 10 % of the mean.
        let mut buckets = [0_u32; 16];
        for port in 0..=u16::MAX {
            let hash = flow(7, true, &mapped(0x0a00_0001), port, 80);
            buckets[(hash >> 28) as usize] += 1;
        }
        for count in buckets {
            assert!((3_686..=4_506).contains(&count), "{buckets:?}");
        }
    }

    #[test]
    fn every_input_matters() {
        let base = flow(1, false, &[1, 2, 3, 4], 5, 6);
        for other in [
            flow(2, false, &[1, 2, 3, 4], 5, 6),
            flow(1, false, &[9, 2, 3, 4], 5, 6),
            flow(1, false, &[1, 9, 3, 4], 5, 6),
            flow(1, false, &[1, 2, 9, 4], 5, 6),
            flow(1, false, &[1, 2, 3, 9], 5, 6),
            flow(1, false, &[1, 2, 3, 4], 9, 6),
            flow(1, false, &[1, 2, 3, 4], 5, 9),
        ] {
            assert_ne!(base, other);
        }
    }
}
