//! The traffic: one TCP packet, and the flows that take turns in it.

use std::net::Ipv4Addr;

/// The address of the measured VIP; further VIPs follow it.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 10, 1, 1);
/// The port of every VIP.
pub const VIP_PORT: u16 = 80;
/// VIPs configured in either program: as many as the rival can hold.
pub const VIPS_COUNT: u32 = 16;
/// Backends behind every VIP.
pub const BACKENDS_COUNT: u32 = 100;
/// The first backend's address; the others follow it.
pub const BACKEND: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
/// Where either program sends what it has encapsulated.
pub const ROUTER_MAC: [u8; 6] = [0xde, 0xad, 0xbe, 0xef, 0x00, 0x01];
/// The balancer's own address on the wire.
pub const OWN_MAC: [u8; 6] = [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

/// An Ethernet header.
pub const ETH_BYTES: usize = 14;
/// An IPv4 header without options: also what the tunnel puts in front.
pub const IPV4_BYTES: usize = 20;
/// The whole packet: Ethernet, IPv4, TCP and 16 bytes of payload, as in the kernel's bench.
pub const PACKET_BYTES: usize = ETH_BYTES + IPV4_BYTES + 20 + 16;

const CLIENT_MAC: [u8; 6] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66];
/// The range set aside for benchmarks, RFC 2544: room for 131,072 clients.
const CLIENTS: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
const SOURCE_AT: usize = ETH_BYTES + 12;
const CHECK_AT: usize = ETH_BYTES + 10;
const PORT_AT: usize = ETH_BYTES + IPV4_BYTES;
const TCP_ACK: u8 = 0x10;

/// One client connection to the measured VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client's address; no two flows share one.
    pub source: Ipv4Addr,
    /// The client's port.
    pub port: u16,
}

impl Flow {
    /// What the driver writes into the packet for this flow, in the driver's layout: address,
    /// port, IPv4 header checksum, each in network byte order. The TCP checksum is left alone:
    /// a tunnel does not read it.
    pub fn entry(self) -> [u8; 8] {
        let [a, b, c, d] = self.source.octets();
        let [port_0, port_1] = self.port.to_be_bytes();
        let header = ipv4(self.source, VIP, (PACKET_BYTES - ETH_BYTES) as u16);
        let [check_0, check_1] = checksum(&header).to_be_bytes();
        [a, b, c, d, port_0, port_1, check_0, check_1]
    }

    /// The packet as the driver hands it to the program under test.
    pub fn packet(self) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        let header = ipv4(self.source, VIP, (PACKET_BYTES - ETH_BYTES) as u16);
        put(&mut packet, 0, &OWN_MAC);
        put(&mut packet, 6, &CLIENT_MAC);
        put(&mut packet, 12, &[0x08, 0x00]);
        put(&mut packet, ETH_BYTES, &header);
        put(&mut packet, CHECK_AT, &checksum(&header).to_be_bytes());
        put(&mut packet, SOURCE_AT, &self.source.octets());
        put(&mut packet, PORT_AT, &self.port.to_be_bytes());
        put(&mut packet, PORT_AT + 2, &VIP_PORT.to_be_bytes());
        put(&mut packet, PORT_AT + 12, &[5 << 4, TCP_ACK, 0x20, 0x00]);
        put(&mut packet, PORT_AT + 20, b"bench payload 16");
        packet
    }
}

/// `count` flows in the order they are visited: every one once, shuffled, the same in every run.
pub fn shuffled(count: u32) -> Vec<Flow> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        // xorshift64, Marsaglia 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut flows: Vec<_> = (0..count)
        .map(|index| Flow {
            source: Ipv4Addr::from_bits(CLIENTS + index),
            port: 1024 + (next() % 64_000) as u16,
        })
        .collect();
    for last in (1..flows.len()).rev() {
        flows.swap(last, (next() % (last as u64 + 1)) as usize);
    }
    flows
}

/// The address of the VIP or backend `index` places after `first`.
pub fn after(first: Ipv4Addr, index: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + index)
}

/// The Internet checksum (RFC 1071) of `bytes`, 0 if they hold a right one.
pub fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IPv4 header for TCP with an empty checksum.
fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, total_bytes: u16) -> [u8; IPV4_BYTES] {
    let [length_0, length_1] = total_bytes.to_be_bytes();
    let mut header = [0; IPV4_BYTES];
    put(&mut header, 0, &[0x45, 0, length_0, length_1, 0, 0, 0, 0, 64, 6]);
    put(&mut header, 12, &source.octets());
    put(&mut header, 16, &destination.octets());
    header
}

fn put(packet: &mut [u8], at: usize, bytes: &[u8]) {
    for (target, byte) in packet.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_flow_is_visited_once_in_an_order_that_is_not_sorted() {
        let flows = shuffled(1000);
        let sources: HashSet<_> = flows.iter().map(|flow| flow.source).collect();
        assert_eq!(sources.len(), 1000);
        assert!(!flows.is_sorted_by_key(|flow| flow.source));
        assert_eq!(flows, shuffled(1000));
    }

    #[test]
    fn the_packet_is_valid_and_holds_the_entry() {
        let flow = Flow { source: Ipv4Addr::new(198, 18, 3, 4), port: 4321 };
        let packet = flow.packet();
        assert_eq!(checksum(&packet[ETH_BYTES..ETH_BYTES + IPV4_BYTES]), 0);
        let entry = flow.entry();
        assert_eq!(entry[..4], packet[SOURCE_AT..SOURCE_AT + 4]);
        assert_eq!(entry[4..6], packet[PORT_AT..PORT_AT + 2]);
        assert_eq!(entry[6..], packet[CHECK_AT..CHECK_AT + 2]);
    }
}
