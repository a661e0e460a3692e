//! A frame in words, one header a line, for the messages of failed rows.

use std::{fmt::Write as _, net::IpAddr};

use super::checksum::{ICMP, ICMPV6, SCTP, TCP, UDP, checksums_valid};

/// The frame in words. Never fails: what cannot be read is shown as bytes.
pub fn describe(frame: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let Some((link, mut rest)) = frame.split_at_checked(14) else {
        return vec![format!("bytes {}", hex(frame))];
    };
    lines.push(format!("ethernet {} > {}", mac(&link[6..12]), mac(&link[..6])));
    let mut ethertype = u16::from_be_bytes([link[12], link[13]]);
    while let (0x8100 | 0x88a8, Some((tag, after))) = (ethertype, rest.split_at_checked(4)) {
        lines.push(format!("tag {ethertype:#06x} tci {:#06x}", word(tag, 0)));
        (ethertype, rest) = (word(tag, 2), after);
    }
    match ethertype {
        0x0800 | 0x86dd => packet(rest, &mut lines),
        other => lines.push(format!("ethertype {other:#06x} {}", hex(rest))),
    }
    lines
}

fn packet(bytes: &[u8], lines: &mut Vec<String>) {
    let right = if checksums_valid(bytes) { "" } else { " A CHECKSUM IS WRONG" };
    match bytes.first().map(|first| first >> 4) {
        Some(4) if bytes.len() >= 20 => ipv4(bytes, lines, right),
        Some(6) if bytes.len() >= 40 => ipv6(bytes, lines, right),
        _ => lines.push(format!("bytes {}", hex(bytes))),
    }
}

fn ipv4(bytes: &[u8], lines: &mut Vec<String>, right: &str) {
    let header_bytes = (usize::from(bytes[0] & 15) * 4).clamp(20, bytes.len());
    let total_bytes = usize::from(word(bytes, 2));
    lines.push(format!(
        "ipv4 {} > {} protocol {} ttl {} tos {:#04x} id {:#06x} fragment {:#06x} length {total_bytes} \
         checksum {:#06x}{right}",
        address(&bytes[12..16]),
        address(&bytes[16..20]),
        bytes[9],
        bytes[8],
        bytes[1],
        word(bytes, 4),
        word(bytes, 6),
        word(bytes, 10),
    ));
    if header_bytes > 20 {
        lines.push(format!("options {}", hex(&bytes[20..header_bytes])));
    }
    let end = total_bytes.clamp(header_bytes, bytes.len());
    let is_later = word(bytes, 6) & 0x1fff != 0;
    transport(if is_later { 255 } else { bytes[9] }, &bytes[header_bytes..end], lines);
    trailer(&bytes[end..], lines);
}

fn ipv6(bytes: &[u8], lines: &mut Vec<String>, right: &str) {
    let end = (40 + usize::from(word(bytes, 4))).min(bytes.len());
    let first = u32::from(word(bytes, 0)) << 16 | u32::from(word(bytes, 2));
    lines.push(format!(
        "ipv6 {} > {} next {} hop limit {} class {:#04x} label {:#07x} length {}{right}",
        address(&bytes[8..24]),
        address(&bytes[24..40]),
        bytes[6],
        bytes[7],
        first >> 20 & 0xff,
        first & 0xf_ffff,
        word(bytes, 4),
    ));
    let (mut next, mut at, mut is_later) = (bytes[6], 40, false);
    while matches!(next, 0 | 43 | 44 | 60) && at + 8 <= end && !is_later {
        let length = if next == 44 { 8 } else { 8 + usize::from(bytes[at + 1]) * 8 };
        let header = &bytes[at..(at + length).min(end)];
        lines.push(format!("extension {next} {}", hex(header)));
        is_later = next == 44 && word(bytes, at + 2) & 0xfff8 != 0;
        (next, at) = (bytes[at], (at + length).min(end));
    }
    transport(if is_later { 255 } else { next }, &bytes[at..end], lines);
    trailer(&bytes[end..], lines);
}

fn transport(protocol: u8, bytes: &[u8], lines: &mut Vec<String>) {
    let (head, rest) = match protocol {
        4 | 41 => return packet(bytes, lines),
        TCP => bytes.split_at(20.min(bytes.len())),
        SCTP => bytes.split_at(16.min(bytes.len())),
        UDP | ICMP | ICMPV6 => bytes.split_at(8.min(bytes.len())),
        _ => bytes.split_at(0),
    };
    match (protocol, head.len()) {
        (TCP, 20) => lines.push(format!(
            "tcp {} > {} flags {:#04x} checksum {:#06x} rest {}",
            word(head, 0),
            word(head, 2),
            head[13],
            word(head, 16),
            hex(&head[4..13]),
        )),
        (UDP, 8) => lines.push(format!(
            "udp {} > {} length {} checksum {:#06x}",
            word(head, 0),
            word(head, 2),
            word(head, 4),
            word(head, 6),
        )),
        (SCTP, 16) => lines.push(format!(
            "sctp {} > {} tag {} checksum {} chunk {}",
            word(head, 0),
            word(head, 2),
            hex(&head[4..8]),
            hex(&head[8..12]),
            hex(&head[12..]),
        )),
        (ICMP | ICMPV6, 8) => lines.push(format!(
            "icmp type {} code {} checksum {:#06x} word {}",
            head[0],
            head[1],
            word(head, 2),
            hex(&head[4..8]),
        )),
        _ => lines.push(format!("bytes {}", hex(head))),
    }
    // An error quotes a packet: worth reading too.
    let quotes =
        matches!((protocol, head.first()), (ICMP, Some(3 | 4 | 11 | 12)) | (ICMPV6, Some(1..=4)));
    if quotes && head.len() == 8 && matches!(rest.first().map(|first| first >> 4), Some(4 | 6)) {
        lines.push("quoting".to_owned());
        packet(rest, lines);
    } else if !rest.is_empty() {
        lines.push(format!("payload {} bytes {}", rest.len(), hex(rest)));
    }
}

fn trailer(bytes: &[u8], lines: &mut Vec<String>) {
    if !bytes.is_empty() {
        lines.push(format!("trailer {}", hex(bytes)));
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn address(bytes: &[u8]) -> IpAddr {
    <[u8; 4]>::try_from(bytes).map_or_else(
        |_| IpAddr::from(<[u8; 16]>::try_from(bytes).expect("an address of 16 bytes")),
        IpAddr::from,
    )
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 48;
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN) {
        write!(text, "{byte:02x}").expect("to a string");
    }
    if bytes.len() > SHOWN {
        text.push_str("..");
    }
    text
}
