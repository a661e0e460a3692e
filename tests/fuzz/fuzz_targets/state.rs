//! A small state of the data plane that a fuzzer can choose, and frames that have a chance to
//! meet it.

use lb_common::{
    abi::{
        BackendEntry, BackendId, Features, NextHop, SLOT_MOVED, VIP_FLAG_ADDRESS, VipEntry,
        VipKey4, VipKey6, Words, mapped,
    },
    tables::{Route, RouteStatus},
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::tables::MemoryTables;

/// Where frames come in.
pub const CLIENT_SIDE: u32 = 10;
const BACKEND_SIDE: u32 = 11;

const VIP4: [u8; 4] = [198, 51, 100, 10];
const VIP6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
const ROUTER4: [u8; 4] = [10, 0, 0, 1];
const ROUTER6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PORT: u16 = 80;
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0x0b, 1], [2, 0, 0, 0, 0, 0x11]);

/// What the fuzzer chooses about one backend.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Backend {
    state: u8,
    mode: u8,
    is_ipv4: bool,
    cached: bool,
    mtu: u16,
    generation: bool,
}

/// What the fuzzer chooses about the maps.
#[derive(Arbitrary, Debug)]
pub struct Setting {
    modes: [u8; 2],
    flags: u8,
    all_ports: bool,
    markers: bool,
    ring: [u8; 4],
    previous: [u8; 4],
    backends: [Backend; 4],
    shapes: [u8; 4],
}

impl Setting {
    /// The maps.
    pub fn tables(&self) -> MemoryTables {
        let mut tables = MemoryTables::new(Features::ALL, 7, (20_000, 3));
        tables.now_ns = 1 << 40;
        tables.route = |destination| match destination[3].to_be() & 3 {
            0 => Route::missing(RouteStatus::None, 0),
            1 => Route::missing(RouteStatus::NoNeighbour, 0),
            2 => Route::missing(RouteStatus::TooBig, 1_300),
            _ => Route::found(NextHop::new(BACKEND_SIDE, MACS.0, MACS.1)),
        };
        let port = if self.all_ports { 0 } else { PORT.to_be() };
        for (index, is_ipv4) in [(0, true), (1, false)] {
            for protocol in [6, 17] {
                let flags = self.flags & !VIP_FLAG_ADDRESS;
                insert(&mut tables, is_ipv4, port, protocol, self.vip(index, flags));
            }
            if self.markers {
                let protocol = if is_ipv4 { 1 } else { 58 };
                insert(&mut tables, is_ipv4, 0, protocol, self.vip(index, VIP_FLAG_ADDRESS));
            }
            let slot =
                |choice: u8| u32::from(choice & 7) | if choice & 8 != 0 { SLOT_MOVED } else { 0 };
            tables.rings.insert(index, self.ring.map(slot).to_vec());
            tables.previous.insert(index, self.previous.map(|c| u32::from(c & 7)).to_vec());
        }
        // Half of the addresses of each family, if the flags say so.
        tables.sources = vec![(0, mapped(0), 97), (1, Words::default(), 1)];
        for (index, backend) in (1..).zip(self.backends) {
            tables.backends.insert(index, backend.entry(index));
        }
        tables
    }

    /// Overwrites a frame's EtherType and addresses with ones that the maps know, and makes its
    /// lengths and checksums right, so that the deeper code is reached.
    pub fn shape(&self, frame: &mut Vec<u8>) {
        let [family, direction, protocol, _] = self.shapes;
        let is_ipv4 = family & 1 == 0;
        let header_bytes = if is_ipv4 { 20 } else { 40 };
        frame.resize(frame.len().max(14 + header_bytes + 20), 0);
        let ethertype: [u8; 2] = if is_ipv4 { [8, 0] } else { [0x86, 0xdd] };
        frame[12..14].copy_from_slice(&ethertype);
        let protocol = match protocol % 4 {
            0 => 6,
            1 => 17,
            2 if is_ipv4 => 1,
            2 => 58,
            _ => frame[14 + if is_ipv4 { 9 } else { 6 }],
        };
        let length = frame.len() - 14;
        let packet = &mut frame[14..];
        let to_vip = direction & 1 == 0;
        if is_ipv4 {
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[9] = protocol;
            packet[16..20].copy_from_slice(if to_vip { &VIP4 } else { &ROUTER4 });
            packet[10..12].fill(0);
            let sum = crate::checksum::checksum(&[&packet[..20]]).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);
        } else {
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            packet[6] = protocol;
            packet[24..40].copy_from_slice(if to_vip { &VIP6 } else { &ROUTER6 });
        }
        self.shape_transport(packet, header_bytes, protocol);
    }

    /// Destination port and checksum; errors get a quoted packet from the VIP.
    fn shape_transport(&self, packet: &mut [u8], header_bytes: usize, protocol: u8) {
        let is_ipv4 = header_bytes == 20;
        if is_ipv4 && packet[6..8] != [0, 0] && self.shapes[3] & 1 != 0 {
            return;
        }
        let (head, segment) = packet.split_at_mut(header_bytes);
        let at = match protocol {
            6 => 16,
            17 => 6,
            1 | 58 => 2,
            _ => return,
        };
        if matches!(protocol, 6 | 17) {
            segment[2..4].copy_from_slice(&PORT.to_be_bytes());
        } else if let Some(quote) = segment.get_mut(8..8 + header_bytes + 8) {
            let (version, next, source): (u8, usize, usize) =
                if is_ipv4 { (0x45, 9, 12) } else { (0x60, 6, 8) };
            quote[0] = version;
            quote[next] = if self.shapes[3] & 2 == 0 { 6 } else { 17 };
            let vip: &[u8] = if is_ipv4 { &VIP4 } else { &VIP6 };
            quote[source..source + vip.len()].copy_from_slice(vip);
            quote[header_bytes..header_bytes + 2].copy_from_slice(&PORT.to_be_bytes());
        }
        if protocol == 17 {
            let length = segment.len() as u16;
            segment[4..6].copy_from_slice(&length.to_be_bytes());
        }
        segment[at..at + 2].fill(0);
        let pseudo = match protocol {
            1 => Vec::new(),
            _ => pseudo(head, segment.len(), protocol),
        };
        let sum = match crate::checksum::checksum(&[&pseudo, segment]) {
            0 if protocol == 17 => 0xffff,
            sum => sum,
        };
        segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    fn vip(&self, index: u32, flags: u8) -> VipEntry {
        let mode = self.modes[index as usize] % 5;
        VipEntry { index, ring_slots: 4, mode, flags, pad: [0; 2], idle_timeout_s: 300 }
    }
}

fn pseudo(head: &[u8], length_bytes: usize, protocol: u8) -> Vec<u8> {
    let addresses = if head.len() == 20 { &head[12..20] } else { &head[8..40] };
    let rest = if head.len() == 20 {
        [&[0, protocol], (length_bytes as u16).to_be_bytes().as_slice()].concat()
    } else {
        [(length_bytes as u32).to_be_bytes().as_slice(), &[0, 0, 0, protocol]].concat()
    };
    [addresses, &rest].concat()
}

impl Backend {
    fn entry(self, index: u32) -> BackendEntry {
        let words = |last: u32| match self.is_ipv4 {
            true => mapped(u32::from_ne_bytes([10, 0, 0, last as u8])),
            false => [0xfd, 0, 0, last.to_be()],
        };
        BackendEntry {
            id: BackendId::new(index, u32::from(self.generation)),
            state: self.state % 4,
            mode: self.mode % 5,
            is_ipv4: u8::from(self.is_ipv4),
            pad: 0,
            address: words(100 + index),
            source: words(1),
            next_hop: if self.cached {
                NextHop::new(BACKEND_SIDE, MACS.0, MACS.1)
            } else {
                NextHop::default()
            },
            port: if self.mode & 8 == 0 { 0 } else { 8_080_u16.to_be() },
            mtu: self.mtu,
            vip: 0,
        }
    }
}

fn insert(tables: &mut MemoryTables, is_ipv4: bool, port: u16, protocol: u8, entry: VipEntry) {
    if is_ipv4 {
        let address = u32::from_ne_bytes(VIP4);
        tables.vips4.insert(VipKey4 { address, port, protocol, pad: 0 }, entry);
    } else {
        let mut address: Words = [0; 4];
        for (word, bytes) in address.iter_mut().zip(VIP6.chunks(4)) {
            *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        tables.vips6.insert(VipKey6 { address, port, protocol, pad: 0 }, entry);
    }
}
