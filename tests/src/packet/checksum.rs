//! The Internet checksum by plain recomputation (RFC 1071), the oracle for the incremental one.

use std::net::IpAddr;

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of SCTP.
pub const SCTP: u8 = 132;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// One's complement of the one's complement sum of the big-endian 16-bit words of `parts`, each
/// of which is padded to a whole word.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for word in part.chunks(2) {
            sum += u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// SCTP's checksum, by plain recomputation bit by bit (RFC 9260 appendix A), as it lies in the packet,
/// whose own is taken for zero.
pub(super) fn crc32c(packet: &[u8]) -> [u8; 4] {
    let mut register = u32::MAX;
    for (at, byte) in packet.iter().enumerate() {
        register ^= u32::from(if (8..12).contains(&at) { 0 } else { *byte });
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0x82f6_3b78;
            }
        }
    }
    (!register).to_le_bytes()
}

/// The pseudo header of `protocol` between two addresses of one family (RFC 9293 section 3.1,
/// RFC 8200 section 8.1).
pub(super) fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length_bytes: usize,
) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    match source {
        IpAddr::V4(_) => {
            header.extend([0, protocol]);
            header.extend((length_bytes as u16).to_be_bytes());
        }
        IpAddr::V6(_) => {
            header.extend((length_bytes as u32).to_be_bytes());
            header.extend([0, 0, 0, protocol]);
        }
    }
    header
}

/// Whether every checksum that can be checked in the IP packet at the start of `packet` is right:
/// the IPv4 header's, and the transport's unless the packet is a fragment or cut short. An
/// encapsulated packet is checked too. Anything unreadable counts as right: there is nothing to
/// check.
pub fn checksums_valid(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => ipv4_valid(packet),
        Some(6) => ipv6_valid(packet),
        _ => true,
    }
}

fn ipv4_valid(packet: &[u8]) -> bool {
    let header_bytes = usize::from(packet[0] & 15) * 4;
    if header_bytes < 20 || packet.len() < header_bytes {
        return true;
    }
    let total_bytes = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if checksum(&[&packet[..header_bytes]]) != 0 {
        return false;
    }
    let is_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
    if is_fragment || total_bytes < header_bytes || packet.len() < total_bytes {
        return true;
    }
    let address = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    transport_valid(address(12), address(16), packet[9], &packet[header_bytes..total_bytes])
}

fn ipv6_valid(packet: &[u8]) -> bool {
    if packet.len() < 40 {
        return true;
    }
    let end = 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    if packet.len() < end {
        return true;
    }
    let (mut protocol, mut at) = (packet[6], 40);
    while matches!(protocol, 0 | 43 | 60) {
        if end < at + 8 {
            return true;
        }
        (protocol, at) = (packet[at], at + 8 + usize::from(packet[at + 1]) * 8);
        if end < at {
            return true;
        }
    }
    let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    transport_valid(address(8), address(24), protocol, &packet[at..end])
}

fn transport_valid(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> bool {
    let pseudo = pseudo_header(source, destination, protocol, segment.len());
    match protocol {
        4 | 41 => checksums_valid(segment),
        TCP if segment.len() >= 20 => checksum(&[&pseudo, segment]) == 0,
        UDP if segment.len() >= 8 => {
            let absent = segment[6..8] == [0, 0] && source.is_ipv4();
            // A UDP length that lies makes the checksum's extent a matter of opinion.
            let lies = usize::from(u16::from_be_bytes([segment[4], segment[5]])) != segment.len();
            absent || lies || checksum(&[&pseudo, segment]) == 0
        }
        SCTP if segment.len() >= 16 => {
            segment[8..12] == [0; 4] || segment[8..12] == crc32c(segment)
        }
        ICMP if segment.len() >= 8 => checksum(&[segment]) == 0,
        ICMPV6 if segment.len() >= 8 => checksum(&[&pseudo, segment]) == 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_example_of_rfc_1071() {
        assert_eq!(!checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), 0xddf2);
    }
}
