//! Source ranges in the kernel's trie.

use super::{
    Dataplane, convert,
    error::{DataplaneError, Result},
    maps::absent_is_fine,
};
use aya::maps::lpm_trie::Key;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use lb_common::abi::{SOURCE_BITS_BEFORE_IPV4, SOURCE_BITS_BEFORE_IPV6, SourceRange};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What the map holds for a range: that it is there is all there is to know.
const THERE: u32 = 1;

impl Dataplane {
    /// Lets clients of a VIP in too.
    pub(super) fn allow(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<()> {
        for range in ranges {
            let inserted = self.maps.sources.insert(&key(vip, range), THERE, 0);
            inserted.map_err(DataplaneError::map("lb_sources", "writing"))?;
        }
        Ok(())
    }

    /// Lets clients of a VIP in no longer.
    pub(super) fn disallow(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<()> {
        for range in ranges {
            let removed = absent_is_fine(self.maps.sources.remove(&key(vip, range)));
            removed.map_err(DataplaneError::map("lb_sources", "removing"))?;
        }
        Ok(())
    }

    /// All ranges by VIP index.
    pub(super) fn sources(&self) -> Result<BTreeMap<u32, BTreeSet<IpNet>>> {
        let mut sources: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
        for key in self.maps.sources.keys() {
            let key = key.map_err(DataplaneError::map("lb_sources", "listing"))?;
            if let Some((vip, range)) = range(&key) {
                sources.entry(vip).or_default().insert(range);
            }
        }
        Ok(sources)
    }
}

fn key(vip: u32, range: &IpNet) -> Key<SourceRange> {
    let before = match range {
        IpNet::V4(_) => SOURCE_BITS_BEFORE_IPV4,
        IpNet::V6(_) => SOURCE_BITS_BEFORE_IPV6,
    };
    let address = convert::words(range.network());
    Key::new(before + u32::from(range.prefix_len()), SourceRange { vip, address })
}

/// A key's VIP index and range; `None` for what no range is. An IPv4-mapped range is IPv4's: no
/// packet on a wire has such an address, so that nobody has a use for it as one of IPv6.
fn range(key: &Key<SourceRange>) -> Option<(u32, IpNet)> {
    let (bits, SourceRange { vip, address }) = (key.prefix_len(), key.data());
    let bits_of = |before| bits.checked_sub(before).and_then(|it| u8::try_from(it).ok());
    let as_ipv4 = (convert::address(address), bits_of(SOURCE_BITS_BEFORE_IPV4));
    let range = if let (IpAddr::V4(address), Some(bits)) = as_ipv4 {
        Ipv4Net::new(address, bits).ok()?.into()
    } else {
        let bits = bits_of(SOURCE_BITS_BEFORE_IPV6)?;
        Ipv6Net::new(convert::ipv6(address), bits).ok()?.into()
    };
    Some((vip, range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net() -> impl Strategy<Value = IpNet> {
        let ipv4 = (any::<u32>(), 0..=32_u8)
            .prop_map(|(bits, length)| IpNet::V4(Ipv4Net::new(bits.into(), length).unwrap()));
        // Not IPv4-mapped.
        let ipv6 = (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| {
            IpNet::V6(Ipv6Net::new((bits | 1 << 127).into(), length).unwrap())
        });
        prop_oneof![ipv4, ipv6].prop_map(|it| it.trunc())
    }

    proptest! {
        #[test]
        fn a_range_survives_its_key(net in net(), vip in any::<u32>()) {
            prop_assert_eq!(range(&key(vip, &net)), Some((vip, net)));
        }
    }
}
