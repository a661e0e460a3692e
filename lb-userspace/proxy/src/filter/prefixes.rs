//! Values by address prefix, the longest wins. What a look-up costs depends on the number of
//! distinct lengths, not of prefixes.

use foldhash::fast::RandomState;
use ipnet::IpNet;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// Values by address prefix.
#[derive(Debug)]
pub(super) struct Prefixes<V> {
    ipv4: Vec<Length<V>>,
    ipv6: Vec<Length<V>>,
}

/// The prefixes of a length.
#[derive(Debug)]
struct Length<V> {
    mask: u128,
    by_network: HashMap<u128, V, RandomState>,
}

impl<V> Default for Prefixes<V> {
    fn default() -> Self {
        Self { ipv4: Vec::new(), ipv6: Vec::new() }
    }
}

impl<V> Prefixes<V> {
    /// Takes a prefix in; an equal one's value is replaced. Prefixes of IPv4-mapped IPv6
    /// addresses (RFC 4291, section 2.5.5.2) are prefixes of IPv4 addresses.
    pub(super) fn insert(&mut self, prefix: IpNet, value: V) {
        let mapped = u128::from(mapped(prefix.network()));
        let bits = match prefix {
            IpNet::V4(_) => u32::from(prefix.prefix_len()) + MAPPED_BITS,
            IpNet::V6(_) => u32::from(prefix.prefix_len()),
        };
        let is_ipv4 = bits >= MAPPED_BITS && is_mapped(mapped);
        let lengths = if is_ipv4 { &mut self.ipv4 } else { &mut self.ipv6 };
        let mask = !u128::MAX.checked_shr(bits).unwrap_or_default();
        let place = lengths.partition_point(|it| it.mask > mask);
        if lengths.get(place).is_none_or(|it| it.mask != mask) {
            lengths.insert(place, Length { mask, by_network: HashMap::default() });
        }
        if let Some(length) = lengths.get_mut(place) {
            length.by_network.insert(mapped & mask, value);
        }
    }

    /// The value of the longest prefix that holds an address.
    pub(super) fn longest(&self, address: IpAddr) -> Option<&V> {
        if self.ipv4.is_empty() && self.ipv6.is_empty() {
            return None;
        }
        let mapped = u128::from(mapped(address));
        let lengths = if is_mapped(mapped) { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().find_map(|length| length.by_network.get(&(mapped & length.mask)))
    }
}

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u32 = 96;

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn is_mapped(address: u128) -> bool {
    Ipv6Addr::from(address).to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_mapped_addresses_are_ipv4() {
        let mut prefixes = Prefixes::default();
        let all = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "::/0", "2001:db8::/32"];
        for prefix in all.into_iter().chain(["::ffff:192.0.2.0/120", "2001:db8::1/128"]) {
            prefixes.insert(prefix.parse().unwrap(), prefix);
        }
        for (address, expected) in [
            ("10.1.2.3", "10.1.0.0/16"),
            ("::ffff:10.1.2.3", "10.1.0.0/16"),
            ("10.2.0.1", "10.0.0.0/8"),
            ("192.0.2.9", "::ffff:192.0.2.0/120"),
            ("11.0.0.1", "0.0.0.0/0"),
            ("2001:db8::2", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::1", "::/0"),
        ] {
            assert_eq!(prefixes.longest(address.parse().unwrap()), Some(&expected), "{address}");
        }
        assert_eq!(Prefixes::<()>::default().longest("::1".parse().unwrap()), None);
    }
}
