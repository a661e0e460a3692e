//! Ranges of addresses.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Addresses from the first to the last, both of one family. As a text: `FIRST-LAST`, a prefix (all
/// of its addresses), or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// The first.
    pub first: IpAddr,
    /// The last; not before the first.
    pub last: IpAddr,
}

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is not written like one.
    #[error("is no address, prefix or FIRST-LAST")]
    Shape,
    /// The last is before the first, or of another family.
    #[error("ends before it starts")]
    Order,
    /// Nobody can connect to some of the addresses: multicast, unspecified, broadcast, or IPv4
    /// mapped to IPv6.
    #[error("has addresses that nobody can connect to")]
    Unusable,
}

impl AddressRange {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// How many they are; [`u128::MAX`] for all of IPv6.
    pub fn count(&self) -> u128 {
        number(self.last).saturating_sub(number(self.first)).saturating_add(1)
    }

    /// The address at this distance from the first.
    pub fn nth(&self, distance: u128) -> Option<IpAddr> {
        let number = number(self.first).checked_add(distance)?;
        let address = match self.first {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).ok()?)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        self.contains(address).then_some(address)
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| RangeError::Shape);
        let (first, last) = if let Some((first, last)) = text.split_once('-') {
            (address(first)?, address(last)?)
        } else if text.contains('/') {
            let prefix: IpNet = text.trim().parse().map_err(|_| RangeError::Shape)?;
            match prefix {
                IpNet::V4(it) => (it.network().into(), it.broadcast().into()),
                IpNet::V6(it) => (it.network().into(), it.broadcast().into()),
            }
        } else {
            (address(text)?, address(text)?)
        };
        if first.is_ipv4() != last.is_ipv4() || last < first {
            return Err(RangeError::Order);
        }
        let range = Self { first, last };
        if UNUSABLE.iter().any(|it| it.overlaps(&range)) {
            return Err(RangeError::Unusable);
        }
        Ok(range)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Unspecified, multicast and limited broadcast (RFC 6890, RFC 4291 2.7), mapped (2.5.5.2).
const UNUSABLE: [AddressRange; 6] = [
    of_v4([0, 0, 0, 0], [0, 0, 0, 0]),
    of_v4([224, 0, 0, 0], [239, 255, 255, 255]),
    of_v4([255, 255, 255, 255], [255, 255, 255, 255]),
    of_v6([0; 8], [0; 8]),
    of_v6([0, 0, 0, 0, 0, 0xffff, 0, 0], [0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff]),
    of_v6([0xff00, 0, 0, 0, 0, 0, 0, 0], [0xffff; 8]),
];

const fn of_v4(first: [u8; 4], last: [u8; 4]) -> AddressRange {
    let [a, b, c, d] = first;
    let first = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    let [a, b, c, d] = last;
    AddressRange { first, last: IpAddr::V4(Ipv4Addr::new(a, b, c, d)) }
}

const fn of_v6(first: [u16; 8], last: [u16; 8]) -> AddressRange {
    let [a, b, c, d, e, f, g, h] = first;
    let first = IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h));
    let [a, b, c, d, e, f, g, h] = last;
    AddressRange { first, last: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)) }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => u128::from(u32::from(it)),
        IpAddr::V6(it) => u128::from(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_addresses_prefixes_and_pairs() {
        let range = |text: &str| text.parse::<AddressRange>();
        assert_eq!(range("192.0.2.7").unwrap().count(), 1);
        assert_eq!(range("192.0.2.7/24").unwrap().to_string(), "192.0.2.0-192.0.2.255");
        assert_eq!(range("192.0.2.7 - 192.0.2.9").unwrap().count(), 3);
        assert_eq!(range("2001:db8::/64").unwrap().count(), 1 << 64);
        assert_eq!(range("192.0.2.9-192.0.2.7"), Err(RangeError::Order));
        assert_eq!(range("192.0.2.9-2001:db8::1"), Err(RangeError::Order));
        for text in ["", "-", "/", "192.0.2.0/33", "192.0.2", "a-b", "192.0.2.1-"] {
            assert_eq!(range(text), Err(RangeError::Shape), "{text}");
        }
        for text in ["0.0.0.0/0", "239.1.2.3", "::/0", "::ffff:192.0.2.1", "ff02::1"] {
            assert_eq!(range(text), Err(RangeError::Unusable), "{text}");
        }
    }

    #[test]
    fn addresses_of_a_range_by_distance() {
        let range: AddressRange = "192.0.2.254-192.0.3.1".parse().unwrap();
        let all: Vec<_> = (0..9).map_while(|it| range.nth(it)).map(|it| it.to_string()).collect();
        assert_eq!(all, ["192.0.2.254", "192.0.2.255", "192.0.3.0", "192.0.3.1"]);
        assert!(range.nth(u128::MAX).is_none());
    }
}
