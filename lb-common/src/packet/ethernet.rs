//! Ethernet II with up to two VLAN tags (IEEE 802.1Q, 802.1ad).

use super::{PacketView, Wire};
use crate::abi::NextHop;

/// EtherType of IPv4, as loaded.
pub const IPV4: u16 = 0x0800_u16.to_be();
/// EtherType of IPv6, as loaded.
pub const IPV6: u16 = 0x86dd_u16.to_be();
/// Tag protocol of a customer VLAN (802.1Q), as loaded.
pub const VLAN: u16 = 0x8100_u16.to_be();
/// Tag protocol of a service VLAN (802.1ad), as loaded.
pub const SERVICE_VLAN: u16 = 0x88a8_u16.to_be();
/// Bytes of the untagged header.
pub const HEADER_BYTES: usize = 14;
/// Bytes of one tag.
pub const TAG_BYTES: usize = 4;
/// Offset of the EtherType, or of the first tag.
const ETHER_TYPE: usize = 12;
/// Offset of the IP header behind one tag.
const TAGGED_L3: usize = HEADER_BYTES + TAG_BYTES;

/// A frame's link layer, tags included.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Offset of what follows: 14, 18 or 22.
    pub l3: usize,
    /// EtherType of what follows, network order.
    pub ether_type: u16,
    /// Destination and source MAC.
    pub macs: [u32; 3],
}

/// Reads the link layer; `None` if the frame is shorter than it.
#[inline(always)]
pub fn parse<V: PacketView>(view: &V) -> Option<Link> {
    let macs: [u32; 3] = view.read(0)?;
    let mut link = Link { l3: HEADER_BYTES, ether_type: view.read(ETHER_TYPE)?, macs };
    if is_tag(link.ether_type) {
        link.ether_type = view.read(ETHER_TYPE + TAG_BYTES)?;
        link.l3 = HEADER_BYTES + TAG_BYTES;
        if is_tag(link.ether_type) {
            link.ether_type = view.read(ETHER_TYPE + 2 * TAG_BYTES)?;
            link.l3 = HEADER_BYTES + 2 * TAG_BYTES;
        }
    }
    Some(link)
}

/// The way back to the sender; `None` if the frame is shorter than its addresses.
#[inline(always)]
pub fn way_back<V: PacketView>(view: &V) -> Option<NextHop> {
    let [a, b, c]: [u32; 3] = view.read(0)?;
    let macs = [b >> 16 | c << 16, c >> 16 | a << 16, a >> 16 | b << 16];
    Some(NextHop { ifindex: 0, macs })
}

/// Points the frame at its next hop; tags stay.
#[inline(always)]
pub fn readdress<V: PacketView>(view: &mut V, hop: &NextHop) -> Option<()> {
    // Word by word, for the reason told at `abi::copied`.
    let macs = &hop.macs;
    view.write(0, [macs[0], macs[1], macs[2]])
}

/// Grows the frame by a header between its link layer and its IP header, and writes the link layer
/// anew in front: same tags, new MACs and EtherType. The header is made once there is room, so that
/// in the kernel it need not lie on the stack while the frame grows.
#[inline(always)]
pub fn make_room<V: PacketView, H: Wire>(
    view: &mut V,
    l3: usize,
    header: impl FnOnce() -> H,
    hop: &NextHop,
    ether_type: u16,
) -> Option<()> {
    if !view.grow_front(size_of::<H>()) {
        return None;
    }
    let tags = read_tags(view, size_of::<H>(), l3)?;
    view.write(l3, header())?;
    match l3 {
        HEADER_BYTES => view.write(ETHER_TYPE, ether_type)?,
        TAGGED_L3 => {
            view.write(ETHER_TYPE + TAG_BYTES, ether_type)?;
            view.write(ETHER_TYPE, tags[0])?;
        }
        _ => {
            view.write(ETHER_TYPE + 2 * TAG_BYTES, ether_type)?;
            view.write(ETHER_TYPE, tags)?;
        }
    }
    readdress(view, hop)
}

/// The tags of a link layer at `start` with `l3` bytes; what is not there is zero.
#[inline(always)]
fn read_tags<V: PacketView>(view: &V, start: usize, l3: usize) -> Option<[u32; 2]> {
    Some(match l3 {
        HEADER_BYTES => [0, 0],
        TAGGED_L3 => [view.read(start + ETHER_TYPE)?, 0],
        _ => view.read(start + ETHER_TYPE)?,
    })
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    ether_type == VLAN || ether_type == SERVICE_VLAN
}
