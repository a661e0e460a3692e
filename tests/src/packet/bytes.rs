//! A [`Frame`] as bytes, lengths and checksums filled in.

use std::net::IpAddr;

use super::{
    build::{Frame, Transport, ip},
    checksum::{ICMP, ICMPV6, SCTP, TCP, UDP, checksum, crc32c, pseudo_header},
};

impl Frame {
    /// The finished frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut packet = self.packet();
        if let Some(outer) = &self.outer {
            let protocol = if self.source.is_ipv4() { 4 } else { 41 };
            let mut header = ip(outer.source, outer.destination).protocol(protocol).hop_limit(64);
            header.traffic_class = self.traffic_class;
            header.dont_fragment = true;
            packet = header.payload(&packet).packet();
        }
        let ethertype: u16 = match self.outer.as_ref().map_or(self.source, |outer| outer.source) {
            IpAddr::V4(_) => 0x0800,
            IpAddr::V6(_) => 0x86dd,
        };
        let mut frame = [self.macs[1], self.macs[0]].concat();
        for (kind, tci) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame.extend(packet);
        frame.extend(&self.trailer);
        frame.truncate(self.cut.unwrap_or(usize::MAX));
        frame
    }

    /// The IP packet alone, without tunnel and frame: what an ICMP error quotes.
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) => self.ipv4_packet(),
            (IpAddr::V6(_), IpAddr::V6(_)) => self.ipv6_packet(),
            mixed => panic!("a packet between two families: {mixed:?}"),
        };
        for (offset, bytes) in &self.patches {
            packet[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        packet
    }

    fn ipv4_packet(&self) -> Vec<u8> {
        let segment = self.segment();
        let header_bytes = 20 + self.options.len();
        let (offset_bytes, more) = self.fragment.unwrap_or((0, false));
        let fragment =
            (offset_bytes / 8) as u16 | u16::from(more) << 13 | u16::from(self.dont_fragment) << 14;
        let mut header = vec![0x40 | (header_bytes / 4) as u8, self.traffic_class];
        header.extend(((header_bytes + segment.len()) as u16).to_be_bytes());
        header.extend((self.identification as u16).to_be_bytes());
        header.extend(fragment.to_be_bytes());
        header.extend([self.hop_limit, self.protocol_number(), 0, 0]);
        for address in [self.source, self.destination] {
            header.extend(octets(address));
        }
        header.extend(&self.options);
        let sum = checksum(&[&header]).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        [header, segment].concat()
    }

    fn ipv6_packet(&self) -> Vec<u8> {
        let mut headers: Vec<(u8, Vec<u8>)> = self
            .extensions
            .iter()
            .map(|(number, content)| {
                (*number, [&[0, ((content.len() + 2) / 8 - 1) as u8], content.as_slice()].concat())
            })
            .collect();
        if let Some((offset_bytes, more)) = self.fragment {
            let mut header = vec![0, 0];
            header.extend(((offset_bytes as u16) | u16::from(more)).to_be_bytes());
            header.extend(self.identification.to_be_bytes());
            headers.push((44, header));
        }
        let mut next = self.protocol_number();
        for (number, header) in headers.iter_mut().rev() {
            header[0] = next;
            next = *number;
        }
        let rest: Vec<u8> =
            headers.into_iter().flat_map(|(_, header)| header).chain(self.segment()).collect();
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut packet = first.to_be_bytes().to_vec();
        packet.extend((rest.len() as u16).to_be_bytes());
        packet.extend([next, self.hop_limit]);
        for address in [self.source, self.destination] {
            packet.extend(octets(address));
        }
        packet.extend(rest);
        packet
    }

    pub(super) fn protocol_number(&self) -> u8 {
        match self.transport {
            Transport::Tcp(..) => TCP,
            Transport::Udp(..) => UDP,
            Transport::Sctp(..) => SCTP,
            Transport::Icmp(..) if self.source.is_ipv4() => ICMP,
            Transport::Icmp(..) => ICMPV6,
            Transport::Raw(protocol) => protocol,
        }
    }

    /// Transport header and payload, checksummed.
    pub(super) fn segment(&self) -> Vec<u8> {
        let (mut segment, checksum_at) = match self.transport {
            Transport::Tcp(source, destination, flags) => {
                let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
                header.extend([0, 0, 0x10, 1, 0, 0, 0x20, 1]);
                header.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                (header, 16)
            }
            Transport::Udp(source, destination, _) => {
                let length = (8 + self.payload.len()) as u16;
                let fields = [source, destination, length, 0].map(u16::to_be_bytes);
                (fields.concat(), 6)
            }
            Transport::Sctp(..) => return self.sctp_packet(),
            Transport::Icmp(kind, code, word) => {
                ([&[kind, code, 0, 0], word.to_be_bytes().as_slice()].concat(), 2)
            }
            Transport::Raw(_) => return self.payload.clone(),
        };
        segment.extend(&self.payload);
        let pseudo = match self.transport {
            Transport::Icmp(..) if self.source.is_ipv4() => Vec::new(),
            _ => {
                let (from, to) = (self.source, self.destination);
                pseudo_header(from, to, self.protocol_number(), segment.len())
            }
        };
        let sum = match (&self.transport, checksum(&[&pseudo, &segment])) {
            (Transport::Udp(_, _, Some(fixed)), _) => *fixed,
            (Transport::Udp(..), 0) => 0xffff,
            (_, sum) => sum,
        };
        segment[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
        segment
    }
}

impl Frame {
    fn sctp_packet(&self) -> Vec<u8> {
        let Transport::Sctp(source, destination, chunk, checksum) = self.transport else {
            return Vec::new();
        };
        let mut packet = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        packet.extend([0, 0, 0x20, 1, 0, 0, 0, 0]);
        packet.extend([chunk, 0]);
        packet.extend(((4 + self.payload.len()) as u16).to_be_bytes());
        packet.extend(&self.payload);
        let checksum = checksum.map_or_else(|| crc32c(&packet), u32::to_le_bytes);
        packet[8..12].copy_from_slice(&checksum);
        packet
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
