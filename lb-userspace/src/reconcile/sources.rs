//! Source ranges: which of a service's clients a VIP serves.

use crate::model::{Service, Vip};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// Whether a VIP serves only some clients. A range of all addresses of its family is as good as
/// none, and costs nothing.
pub(super) fn are_given(vip: Vip, service: &Service) -> bool {
    !service.sources.is_empty() && !of_family(vip, service).any(|it| it.prefix_len() == 0)
}

/// The ranges that a VIP looks its clients up in.
pub(super) fn of(vip: Vip, service: &Service) -> BTreeSet<IpNet> {
    if !are_given(vip, service) {
        return BTreeSet::new();
    }
    of_family(vip, service).map(IpNet::trunc).collect()
}

/// How many ranges all VIPs of a service look clients up in.
pub(super) fn count(service: &Service) -> usize {
    service.vips.iter().map(|vip| of(*vip, service).len()).sum()
}

fn of_family(vip: Vip, service: &Service) -> impl Iterator<Item = &IpNet> {
    service.sources.iter().filter(move |it| it.addr().is_ipv4() == vip.address.is_ipv4())
}
