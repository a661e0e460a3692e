//! How backends are reached: routes, neighbours and links of the kernel, and when they change.
//!
//! Everything here works in the network namespace of the thread that calls it.

use super::{
    error::{DataplaneError, Result},
    netlink::{Link, Neighbour, Netlink, Route},
};
use crate::reconcile::Reach;
use futures_util::StreamExt;
use lb_common::abi::NextHop;
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{RouteNetlinkMessage, neighbour::NeighbourState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};
use tokio::sync::mpsc;

/// Changes that come within this time are told as one.
const SETTLE: Duration = Duration::from_millis(50);

/// What changed in the kernel's network configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeighbourChange {
    /// An interface came, went or changed: attachments are to be looked at again.
    pub links: bool,
}

/// Answers how addresses are reached.
pub struct Neighbours {
    netlink: Netlink,
}

impl Neighbours {
    /// Opens a netlink socket.
    pub fn open() -> Result<Self> {
        Netlink::open().map(|netlink| Self { netlink })
    }

    /// How each address is reached; an address without a route is missing. A next hop that the
    /// kernel has not heard of is asked for; its answer shows as a change.
    pub fn reach(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<BTreeMap<IpAddr, Reach>> {
        let view = self.view()?;
        let mut reach = BTreeMap::new();
        for address in addresses {
            let Some(route) = self.netlink.route(*address)? else { continue };
            let next = route.gateway.unwrap_or(*address);
            let neighbour = view.neighbours.get(&(route.ifindex, next));
            if neighbour.is_none() {
                self.probe(route.ifindex, next);
            }
            let link = view.links.get(&route.ifindex);
            reach.insert(*address, reach_of(&route, link, neighbour));
        }
        Ok(reach)
    }

    /// Has the kernel confirm every next hop, so that none is forgotten for want of traffic that
    /// the host's own stack sees. To be called every 15 s or so.
    pub fn refresh(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<()> {
        let mut next_hops = BTreeSet::new();
        for address in addresses {
            if let Some(route) = self.netlink.route(*address)? {
                next_hops.insert((route.ifindex, route.gateway.unwrap_or(*address)));
            }
        }
        for (ifindex, address) in next_hops {
            self.probe(ifindex, address);
        }
        Ok(())
    }

    fn probe(&mut self, ifindex: u32, address: IpAddr) {
        // An interface without link addresses refuses; the route alone must do then.
        if let Err(error) = self.netlink.probe(ifindex, address) {
            tracing::debug!(%address, ifindex, ?error, "the neighbour cannot be asked for");
        }
    }

    fn view(&mut self) -> Result<View> {
        let links = self.netlink.links()?.into_iter().map(|link| (link.ifindex, link));
        let links = links.collect();
        let neighbours = self.netlink.neighbours()?.into_iter();
        let neighbours = neighbours.map(|known| ((known.ifindex, known.address), known)).collect();
        Ok(View { links, neighbours })
    }
}

/// Tells when routes, neighbours, addresses or links change, until the receiver is dropped. Bursts
/// are told as one change. A burst that overflows the kernel's queue may go untold, so look again
/// now and then anyway. Must be called within a tokio runtime.
pub fn watch_neighbours() -> Result<mpsc::Receiver<NeighbourChange>> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Neigh,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ];
    let (connection, handle, mut messages) =
        new_multicast_connection(&groups).map_err(DataplaneError::io("listening to netlink"))?;
    tokio::spawn(connection);
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        // The connection lives as long as a handle of it.
        let _handle = handle;
        while let Some((first, _)) = messages.next().await {
            let mut change = change_of(&first);
            tokio::time::sleep(SETTLE).await;
            while let Ok((message, _)) = messages.try_recv() {
                change.links |= change_of(&message).links;
            }
            if sender.send(change).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

struct View {
    links: BTreeMap<u32, Link>,
    neighbours: BTreeMap<(u32, IpAddr), Neighbour>,
}

fn reach_of(route: &Route, link: Option<&Link>, neighbour: Option<&Neighbour>) -> Reach {
    let link_mtu = link.map_or(0, |link| link.mtu);
    let mtu = if route.mtu == 0 { link_mtu } else { route.mtu.min(link_mtu) };
    let destination = neighbour.filter(|known| is_usable(known.state)).and_then(|known| known.mac);
    let source = link.and_then(|link| link.mac);
    Reach {
        next_hop: match (source, destination) {
            (Some(source), Some(destination)) => {
                NextHop { ifindex: route.ifindex, destination, source }
            }
            _ => NextHop::default(),
        },
        on_link: route.gateway.is_none(),
        source: route.source,
        mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
    }
}

fn is_usable(state: NeighbourState) -> bool {
    !matches!(state, NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed)
}

fn change_of(message: &NetlinkMessage<RouteNetlinkMessage>) -> NeighbourChange {
    let links = matches!(
        &message.payload,
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_)
        )
    );
    NeighbourChange { links }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn link() -> Link {
        Link { ifindex: 7, name: "eth0".to_owned(), mtu: 1500, mac: Some(MAC), xdp: None }
    }

    fn neighbour(state: NeighbourState) -> Neighbour {
        Neighbour { ifindex: 7, address: "192.0.2.9".parse().unwrap(), mac: Some([9; 6]), state }
    }

    #[test]
    fn a_next_hop_needs_a_confirmed_or_stale_neighbour() {
        let route = Route { ifindex: 7, gateway: None, source: None, mtu: 0 };
        let hop = |state| reach_of(&route, Some(&link()), Some(&neighbour(state))).next_hop;
        for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Permanent] {
            assert_eq!(hop(state), NextHop { ifindex: 7, destination: [9; 6], source: MAC });
        }
        for state in [NeighbourState::Failed, NeighbourState::Incomplete, NeighbourState::None] {
            assert_eq!(hop(state), NextHop::default());
        }
        assert_eq!(reach_of(&route, Some(&link()), None).next_hop, NextHop::default());
    }

    #[test]
    fn the_route_may_lower_the_mtu_and_a_gateway_is_off_link() {
        let mut route = Route { ifindex: 7, gateway: None, source: None, mtu: 1400 };
        let reach = reach_of(&route, Some(&link()), None);
        assert_eq!((reach.mtu, reach.on_link), (1400, true));
        route.gateway = Some("192.0.2.1".parse().unwrap());
        route.mtu = 9000;
        let reach = reach_of(&route, Some(&link()), None);
        assert_eq!((reach.mtu, reach.on_link), (1500, false));
    }
}
