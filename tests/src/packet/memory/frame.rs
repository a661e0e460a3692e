//! A frame in memory.

use lb_common::packet::{PacketView, Wire};

/// Bytes in front of a frame that it may grow into (`XDP_PACKET_HEADROOM`, linux/bpf.h).
const HEADROOM_BYTES: usize = 256;

/// A frame in memory.
#[derive(Clone, Debug)]
pub struct MemoryFrame {
    bytes: Vec<u8>,
    headroom_bytes: usize,
    ifindex: u32,
}

impl MemoryFrame {
    /// A received frame.
    pub fn new(bytes: &[u8], ifindex: u32) -> Self {
        Self { bytes: bytes.to_vec(), headroom_bytes: HEADROOM_BYTES, ifindex }
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PacketView for MemoryFrame {
    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        let source = self.bytes.get(offset..end)?;
        // SAFETY: `source` is as long as T; `Wire` types are valid for every bit pattern.
        #[expect(unsafe_code, reason = "bytes become header types")]
        Some(unsafe { source.as_ptr().cast::<T>().read_unaligned() })
    }

    fn write<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let end = offset.checked_add(size_of::<T>())?;
        let place = self.bytes.get_mut(offset..end)?;
        // SAFETY: `place` is as long as T; `Wire` types have no padding.
        #[expect(unsafe_code, reason = "header types become bytes")]
        unsafe {
            place.as_mut_ptr().cast::<T>().write_unaligned(value);
        }
        Some(())
    }

    fn grow_front(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.headroom_bytes;
        if fits {
            self.headroom_bytes -= bytes;
            // Not zeroes: what is not overwritten must be noticed.
            self.bytes.splice(0..0, std::iter::repeat_n(0xa5, bytes));
        }
        fits
    }

    fn shrink_front(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.bytes.len();
        if fits {
            self.bytes.drain(..bytes);
            self.headroom_bytes += bytes;
        }
        fits
    }

    fn truncate(&mut self, length: usize) -> bool {
        let fits = length <= self.bytes.len();
        self.bytes.truncate(length);
        fits
    }

    fn ingress_ifindex(&self) -> u32 {
        self.ifindex
    }
}
