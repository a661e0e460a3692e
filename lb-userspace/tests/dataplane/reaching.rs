//! Routes and neighbours of a real namespace.

use crate::host::{Host, LIMIT, eventually, run};
use lb_userspace::dataplane::{Neighbours, watch_neighbours};
use std::{collections::BTreeSet, net::IpAddr, time::Instant};

fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn mac_of(text: &str) -> [u8; 6] {
    let mac = text.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn neighbours_are_resolved_on_both_families_without_traffic() {
    let host = Host::new().with_veth();
    let peer_mac = mac_of(&host.beyond("link show dev outer"));
    let own_mac = mac_of(&run("ip link show dev inner"));
    let mut neighbours = Neighbours::open().unwrap();
    let wanted = addresses(&["10.9.0.2", "fd09::2", "203.0.113.1"]);
    let reach = eventually("both neighbours resolved", || {
        let reach = neighbours.reach(&wanted).unwrap();
        reach.values().all(|reach| reach.next_hop.ifindex != 0).then_some(reach)
    });
    assert_eq!(reach.len(), 2, "there is no route to the third");
    for address in ["10.9.0.2", "fd09::2"] {
        let reach = reach[&address.parse::<IpAddr>().unwrap()];
        assert_eq!(reach.next_hop.destination(), peer_mac);
        assert_eq!(reach.next_hop.source(), own_mac);
        assert!(reach.on_link);
        assert_eq!(reach.mtu, 1500);
        assert!(reach.source.is_some());
    }
    neighbours.refresh(&wanted).unwrap();
}

#[test]
fn a_gateway_is_the_next_hop_and_its_route_may_lower_the_mtu() {
    let host = Host::new().with_veth();
    let peer_mac = mac_of(&host.beyond("link show dev outer"));
    run("ip route add 203.0.113.0/24 via 10.9.0.2 mtu 1400");
    let mut neighbours = Neighbours::open().unwrap();
    let wanted = addresses(&["203.0.113.1"]);
    let reach = eventually("the gateway resolved", || {
        let reach = neighbours.reach(&wanted).unwrap();
        reach.values().next().filter(|reach| reach.next_hop.ifindex != 0).copied()
    });
    assert_eq!(reach.next_hop.destination(), peer_mac);
    assert!(!reach.on_link);
    assert_eq!(reach.mtu, 1400);
    assert_eq!(reach.source, Some("10.9.0.1".parse().unwrap()));
}

#[test]
fn a_host_that_does_not_answer_has_no_next_hop() {
    let _host = Host::new().with_veth();
    let mut neighbours = Neighbours::open().unwrap();
    let wanted = addresses(&["10.9.0.77"]);
    let first = neighbours.reach(&wanted).unwrap();
    assert_eq!(first.values().next().unwrap().next_hop.ifindex, 0);
    assert!(run("ip neigh show").contains("10.9.0.77"), "it was asked for");
}

#[test]
fn changes_are_told() {
    let _host = Host::new().with_veth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut changes = watch_neighbours().unwrap();
        let limit = Instant::now() + LIMIT;
        run("ip link add third type veth peer name fourth");
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let change = tokio::time::timeout(left, changes.recv()).await;
            if change.expect("a change in time").unwrap().links {
                break;
            }
        }
        run("ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev inner nud permanent");
        tokio::time::timeout(LIMIT, changes.recv()).await.expect("a change in time").unwrap();
    });
}
