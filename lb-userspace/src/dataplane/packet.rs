//! Packets to ask the data plane about.

use super::error::{DataplaneError, Result};
use crate::model::Protocol;
use lb_common::packet::{crc32c, sctp};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};

/// Hop limit of crafted packets: what Linux sends with.
const HOP_LIMIT: u8 = 64;
/// TCP flags (RFC 9293 section 3.1).
const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;
/// Chunk type (RFC 9260 section 3.2).
const SCTP_HEARTBEAT: u8 = 4;

/// A client's packet to a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePacket {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Client.
    pub source: SocketAddr,
    /// VIP.
    pub destination: SocketAddr,
    /// TCP: the first packet of a connection (SYN) instead of one in its middle (ACK). SCTP: INIT
    /// instead of HEARTBEAT.
    pub is_opening: bool,
}

impl TracePacket {
    /// The Ethernet frame, with valid checksums and no payload.
    ///
    /// # Errors
    /// Source and destination of two families.
    pub fn frame(&self, destination_mac: [u8; 6], source_mac: [u8; 6]) -> Result<Vec<u8>> {
        let mut frame = Vec::with_capacity(64);
        frame.extend(destination_mac);
        frame.extend(source_mac);
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let segment = self.segment(&[source.octets(), destination.octets()].concat());
                frame.extend(0x0800_u16.to_be_bytes());
                let total = 20 + segment.len() as u16;
                let [high, low] = total.to_be_bytes();
                let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, HOP_LIMIT];
                header.extend([self.protocol.number(), 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                put_checksum(&mut header, 10, 0);
                frame.extend(header);
                frame.extend(segment);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let segment = self.segment(&[source.octets(), destination.octets()].concat());
                frame.extend(0x86dd_u16.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend((segment.len() as u16).to_be_bytes());
                frame.extend([self.protocol.number(), HOP_LIMIT]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
                frame.extend(segment);
            }
            _ => {
                return Err(DataplaneError::Io {
                    what: format!("{} cannot talk to {}", self.source, self.destination),
                    source: io::ErrorKind::InvalidInput.into(),
                });
            }
        }
        Ok(frame)
    }

    /// The transport segment; `addresses` begin its pseudo header.
    fn segment(&self, addresses: &[u8]) -> Vec<u8> {
        let mut segment = Vec::with_capacity(20);
        segment.extend(self.source.port().to_be_bytes());
        segment.extend(self.destination.port().to_be_bytes());
        let checksum_at = match self.protocol {
            Protocol::Tcp => {
                let flags = if self.is_opening { TCP_SYN } else { TCP_ACK };
                segment.extend([0, 0, 0, 1, 0, 0, 0, u8::from(!self.is_opening)]);
                segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                16
            }
            Protocol::Udp => {
                segment.extend([0, 8, 0, 0]);
                6
            }
            Protocol::Sctp => return self.sctp(segment),
        };
        let pseudo = sum(addresses) + segment.len() as u32 + u32::from(self.protocol.number());
        put_checksum(&mut segment, checksum_at, pseudo);
        if self.protocol == Protocol::Udp && segment.get(6..8) == Some(&[0, 0]) {
            // RFC 768: a computed zero is sent as all ones.
            segment.splice(6..8, [0xff, 0xff]);
        }
        segment
    }

    /// A packet of one chunk after its ports.
    fn sctp(&self, mut packet: Vec<u8>) -> Vec<u8> {
        // The verification tag of an INIT is 0; then the place of the checksum.
        packet.extend([0, 0, 0, u8::from(!self.is_opening), 0, 0, 0, 0]);
        if self.is_opening {
            // Its tag, a window of 64 KiB, a stream each way, its first sequence number.
            packet.extend([sctp::INIT, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
        } else {
            // With the parameter that the peer sends back.
            packet.extend([SCTP_HEARTBEAT, 0, 0, 12, 0, 1, 0, 8, 0, 0, 0, 0]);
        }
        let checksum = crc32c::of(&packet).to_le_bytes();
        packet.splice(sctp::CHECKSUM..sctp::HEADER_BYTES, checksum);
        packet
    }
}

/// Writes the Internet checksum (RFC 1071) of `bytes` and `start` at `at`.
fn put_checksum(bytes: &mut Vec<u8>, at: usize, start: u32) {
    let checksum = fold(sum(bytes) + start);
    bytes.splice(at..at + 2, (!checksum).to_be_bytes());
}

/// Sum of big-endian 16-bit words; an odd last byte counts as the high half of one.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(*high) << 8,
            _ => 0,
        })
        .sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(source: &str, destination: &str, protocol: Protocol) -> TracePacket {
        TracePacket {
            protocol,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            is_opening: true,
        }
    }

    #[test]
    fn checksums_verify() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let frame = packet("192.0.2.1:1234", "198.51.100.7:80", protocol)
                .frame([1; 6], [2; 6])
                .unwrap();
            assert_eq!(fold(sum(&frame[14..34])), 0xffff);
            let segment = &frame[34..];
            let pseudo = sum(&frame[26..34]) + segment.len() as u32 + u32::from(frame[23]);
            assert_eq!(fold(sum(segment) + pseudo), 0xffff);
            let frame = packet("[2001:db8::1]:1234", "[2001:db8::2]:80", protocol)
                .frame([1; 6], [2; 6])
                .unwrap();
            let segment = &frame[54..];
            let pseudo = sum(&frame[22..54]) + segment.len() as u32 + u32::from(frame[20]);
            assert_eq!(fold(sum(segment) + pseudo), 0xffff);
        }
    }

    #[test]
    fn the_checksum_of_sctp_is_of_its_packet_alone() {
        for is_opening in [true, false] {
            let packet = packet("192.0.2.1:1234", "198.51.100.7:80", Protocol::Sctp);
            let frame = TracePacket { is_opening, ..packet }.frame([1; 6], [2; 6]).unwrap();
            let mut sctp = frame[34..].to_vec();
            let checksum = sctp.splice(8..12, [0; 4]).collect::<Vec<_>>();
            assert_eq!(checksum, crc32c::of(&sctp).to_le_bytes());
            assert_eq!(usize::from(sctp[15]) + 12, sctp.len(), "the chunk's length");
        }
    }

    #[test]
    fn families_do_not_mix() {
        assert!(packet("192.0.2.1:1", "[::1]:2", Protocol::Tcp).frame([0; 6], [0; 6]).is_err());
    }
}
