//! The checksum of translated SCTP packets: it changes with the ports, and with nothing else that a
//! translation changes (RFC 9260 section 6.8).
//!
//! A detour of its own, after the translation: in the kernel the multiplications of
//! [`crc32c::change`] then have a stack of their own, and are verified once.

use super::{Detour, nat::Translation};
use crate::{
    abi::Features,
    packet::{
        Ip, PacketView, crc32c,
        sctp::{CHECKSUM, SCTP},
    },
    tables::{Owed, Tables},
    verdict::{Outcome, Packed},
};

/// Whether the first fragment of a packet cannot get these ports: the checksum changes with the
/// length of the whole packet, which nobody knows yet.
#[inline(always)]
pub(super) fn breaks_checksum(ip: &Ip, old: (u16, u16), to: &Translation) -> bool {
    ip.protocol == SCTP && old != (to.source_port, to.destination_port)
}

/// Notes how the ports of a packet have changed, for [`complete`].
#[inline(always)]
pub(super) fn owe<T: Tables>(tables: &T, old: (u16, u16), to: &Translation) {
    let ports = word(old.0 ^ to.source_port, old.1 ^ to.destination_port);
    tables.owe(&Owed { ports, ..Owed::default() });
}

/// What becomes of a translated packet: its verdict, or first the detour that moves its checksum.
#[inline(always)]
pub(super) fn complete<const V4: bool, T: Tables>(tables: &T, verdict: Packed) -> Packed {
    if !tables.features().has(Features::SCTP) || verdict.is_pending() || verdict.is_dropped() {
        return verdict;
    }
    if tables.kept().is_none_or(|ip| ip.protocol != SCTP) {
        return verdict;
    }
    match tables.owed() {
        Some(owed) if owed.ports != 0 => {
            tables.owe(&Owed { verdict: verdict.to_bits(), ..owed });
            Detour::Checksum.needed::<V4>()
        }
        _ => verdict,
    }
}

/// Moves the checksum of the kept packet with its ports, which are written; then what was to become
/// of it.
#[inline(always)]
pub(super) fn move_checksum<V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let truncated = Packed::dropped(Outcome::DropTruncated);
    let (Some(ip), Some(owed)) = (tables.kept(), tables.owed()) else { return truncated };
    match write(view, &ip, owed.ports) {
        Some(()) => Packed::from_bits(owed.verdict),
        None => truncated,
    }
}

#[inline(always)]
fn write<V: PacketView>(view: &mut V, ip: &Ip, ports: u32) -> Option<()> {
    let at = ip.l4 + CHECKSUM;
    let checksum: u32 = view.read(at)?;
    // None was computed, as two ends may agree on (RFC 9653); none is made up.
    if checksum == 0 {
        return Some(());
    }
    let bytes = (ip.l3 + ip.length as usize).wrapping_sub(ip.l4) as u32;
    let change = crc32c::change(u32::from_le(ports), bytes);
    view.write(at, checksum ^ change.to_le())
}

/// Two ports (network order) as they lie in a packet.
#[inline(always)]
const fn word(first: u16, second: u16) -> u32 {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}
