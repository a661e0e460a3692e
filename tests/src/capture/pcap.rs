//! The pcap file format, as far as tcpdump writes it on this machine.

use anyhow::{Result, bail};

use super::CapturedPacket;

/// The first four bytes of a file with microsecond times, in the writer's byte order.
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
/// The same with nanosecond times.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const FILE_HEADER_BYTES: usize = 24;
/// Seconds, fraction, captured length, original length: four 32-bit words.
const PACKET_HEADER_BYTES: usize = 16;

/// The complete packets of a file that may still be growing.
pub(super) fn parse(file: &[u8]) -> Result<Vec<CapturedPacket>> {
    let Some((header, mut rest)) = file.split_at_checked(FILE_HEADER_BYTES) else {
        return Ok(Vec::new());
    };
    match word(header, 0) {
        Some(MAGIC_MICROSECONDS | MAGIC_NANOSECONDS) => {}
        magic => bail!("not a pcap file of this machine: it starts with {magic:x?}"),
    }
    let mut packets = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(PACKET_HEADER_BYTES)
        && let Some(len) = word(header, 8)
        && let Some((bytes, after)) = after.split_at_checked(len as usize)
    {
        packets.push(CapturedPacket { bytes: bytes.to_vec() });
        rest = after;
    }
    Ok(packets)
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(packets: &[&[u8]]) -> Vec<u8> {
        let mut file = MAGIC_MICROSECONDS.to_ne_bytes().to_vec();
        file.resize(FILE_HEADER_BYTES, 0);
        for packet in packets {
            file.extend_from_slice(&[0; 8]);
            file.extend_from_slice(&(packet.len() as u32).to_ne_bytes());
            file.extend_from_slice(&(packet.len() as u32).to_ne_bytes());
            file.extend_from_slice(packet);
        }
        file
    }

    #[test]
    fn every_cut_of_a_file_yields_its_whole_packets() {
        let packets: [&[u8]; 3] = [b"first", b"", b"third"];
        let whole = file(&packets);
        let ends = [FILE_HEADER_BYTES + 21, FILE_HEADER_BYTES + 37, FILE_HEADER_BYTES + 58];
        for cut in 0..=whole.len() {
            let parsed = parse(&whole[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(parsed.len(), expected, "cut at {cut}");
            for (packet, bytes) in parsed.iter().zip(packets) {
                assert_eq!(packet.bytes, bytes);
            }
        }
    }

    #[test]
    fn something_else_is_refused() {
        assert!(parse(&[0; 64]).is_err());
    }
}
