//! Names of the interfaces that next hops leave by.

use crate::reconcile::Image;
use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};
use std::collections::{BTreeMap, BTreeSet};

/// Names by index, of the interfaces that `image` mentions; those that are gone are missing.
pub fn interface_names(image: &Image) -> BTreeMap<u32, String> {
    let Ok(socket) = socket(AddressFamily::UNIX, SocketType::DGRAM, None) else {
        return BTreeMap::new();
    };
    let backends = image.vips.values().flat_map(|vip| vip.backends.values());
    let indexes: BTreeSet<u32> = backends.map(|backend| backend.entry.next_hop.ifindex).collect();
    let named = indexes.into_iter().filter(|index| *index != 0);
    named.filter_map(|index| Some((index, index_to_name(&socket, index).ok()?))).collect()
}
