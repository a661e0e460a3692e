//! A frame in one line, for people.

use lb_common::packet::sctp;
use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Headers inside headers that are followed: tags, a tunnel, its content.
const DEPTH_MAX: usize = 4;

/// Describes a frame, as far as it is understood.
pub(super) fn frame(bytes: &[u8]) -> String {
    let mut line = String::new();
    let Some((destination, source)) = macs(bytes) else {
        return format!("{} bytes, no Ethernet header", bytes.len());
    };
    push(&mut line, &format!("{} > {}", mac(source), mac(destination)));
    let mut rest = bytes.get(12..).unwrap_or_default();
    for _ in 0..DEPTH_MAX {
        match (u16_at(rest, 0), u16_at(rest, 2)) {
            (Some(0x8100 | 0x88a8), Some(tag)) => {
                push(&mut line, &format!("vlan {}", tag & 0xfff));
                rest = rest.get(4..).unwrap_or_default();
            }
            (Some(ethertype), _) => {
                let packet = rest.get(2..).unwrap_or_default();
                network(&mut line, ethertype, packet);
                break;
            }
            _ => break,
        }
    }
    push(&mut line, &format!("{} bytes", bytes.len()));
    line
}

/// Destination and source MAC of a frame.
pub(super) fn macs(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    Some((frame.get(..6)?.try_into().ok()?, frame.get(6..12)?.try_into().ok()?))
}

/// A MAC as people write it.
pub(super) fn mac(bytes: [u8; 6]) -> String {
    let mut text = String::new();
    for (position, byte) in bytes.iter().enumerate() {
        let colon = if position == 0 { "" } else { ":" };
        // Writing to a string does not fail.
        let _written = write!(text, "{colon}{byte:02x}");
    }
    text
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

fn network(line: &mut String, ethertype: u16, packet: &[u8]) {
    let mut next = Some((ethertype, packet));
    for _ in 0..DEPTH_MAX {
        next = match next {
            Some((0x0800, packet)) => ipv4(line, packet),
            Some((0x86dd, packet)) => ipv6(line, packet),
            Some((ethertype, _)) => {
                push(line, &format!("ethertype {ethertype:#06x}"));
                None
            }
            None => return,
        };
    }
}

type Next<'a> = Option<(u16, &'a [u8])>;

fn ipv4<'a>(line: &mut String, packet: &'a [u8]) -> Next<'a> {
    let header_bytes = usize::from(packet.first()? & 0xf) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    let (source, destination) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
    let fragment_offset = u16_at(packet, 6)? & 0x1fff;
    let protocol = *packet.get(9)?;
    let payload = packet.get(header_bytes..)?;
    if fragment_offset != 0 {
        let offset_bytes = u32::from(fragment_offset) * 8;
        push(line, &format!("{source} > {destination} fragment at {offset_bytes}"));
        return None;
    }
    transport(line, source.into(), destination.into(), protocol, payload)
}

fn ipv6<'a>(line: &mut String, packet: &'a [u8]) -> Next<'a> {
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
    let protocol = *packet.get(6)?;
    transport(line, source.into(), destination.into(), protocol, packet.get(40..)?)
}

fn transport<'a>(
    line: &mut String,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &'a [u8],
) -> Next<'a> {
    let ports = (u16_at(payload, 0), u16_at(payload, 2));
    match (protocol, ports) {
        (4, _) => {
            push(line, &format!("{source} > {destination} ipip"));
            Some((0x0800, payload))
        }
        (41, _) => {
            push(line, &format!("{source} > {destination} ip6"));
            Some((0x86dd, payload))
        }
        (6 | 17 | 132, (Some(source_port), Some(destination_port))) => {
            let from = SocketAddr::new(source, source_port);
            let to = SocketAddr::new(destination, destination_port);
            let what = match protocol {
                6 => format!("tcp{}", flags(payload)),
                17 => "udp".to_owned(),
                _ => format!("sctp{}", chunk(payload)),
            };
            push(line, &format!("{from} > {to} {what}"));
            None
        }
        (1 | 58, _) => {
            let kind = payload.first().copied().unwrap_or_default();
            push(line, &format!("{source} > {destination} icmp type {kind}"));
            None
        }
        _ => {
            push(line, &format!("{source} > {destination} protocol {protocol}"));
            None
        }
    }
}

fn flags(segment: &[u8]) -> String {
    let bits = segment.get(13).copied().unwrap_or_default();
    let names = [(0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH")];
    let set = names.iter().filter(|(bit, _)| bits & bit != 0);
    set.fold(String::new(), |text, (_, name)| text + " " + name)
}

/// The first chunk (RFC 9260 section 3.2).
fn chunk(packet: &[u8]) -> &'static str {
    match packet.get(sctp::HEADER_BYTES) {
        Some(&sctp::INIT) => " INIT",
        Some(&sctp::ABORT) => " ABORT",
        Some(&sctp::SHUTDOWN) => " SHUTDOWN",
        Some(&sctp::SHUTDOWN_ACK) => " SHUTDOWN ACK",
        Some(&sctp::SHUTDOWN_COMPLETE) => " SHUTDOWN COMPLETE",
        _ => "",
    }
}

fn push(line: &mut String, part: &str) {
    if !line.is_empty() {
        line.push_str(" | ");
    }
    line.push_str(part);
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataplane::TracePacket, model::Protocol};

    #[test]
    fn a_syn_reads_like_one() {
        let packet = TracePacket {
            protocol: Protocol::Tcp,
            source: "192.0.2.1:1234".parse().unwrap(),
            destination: "198.51.100.7:80".parse().unwrap(),
            is_opening: true,
        };
        let plain = packet.frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).unwrap();
        assert_eq!(
            frame(&plain),
            "02:00:00:00:00:02 > 02:00:00:00:00:01 | 192.0.2.1:1234 > 198.51.100.7:80 tcp SYN | \
             54 bytes"
        );
        let mut tunnelled = plain.clone();
        let mut outer = plain[14..34].to_vec();
        outer[9] = 4;
        tunnelled.splice(14..14, outer);
        assert!(frame(&tunnelled).contains("ipip | 192.0.2.1:1234 > 198.51.100.7:80 tcp SYN"));
    }

    #[test]
    fn anything_can_be_described() {
        let frame_bytes: Vec<u8> = (0..80).map(|byte: u8| byte.wrapping_mul(37)).collect();
        for length in 0..frame_bytes.len() {
            assert!(frame(&frame_bytes[..length]).contains(" bytes"));
        }
    }
}
