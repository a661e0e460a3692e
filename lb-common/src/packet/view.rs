//! The one way to touch packet bytes, in the kernel and in memory alike.

/// Plain bytes-like values that may be copied from and to a packet. Implemented for this crate's
/// header types only: every implementor is `repr(C)` or primitive, without padding, and valid for
/// every bit pattern.
pub trait Wire: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! wire {
    ($($name:ty),+ $(,)?) => {$(
        impl sealed::Sealed for $name {}
        impl Wire for $name {}
    )+};
}

wire!(
    u8,
    u16,
    u32,
    [u8; 8],
    [u16; 2],
    [u16; 4],
    [u32; 2],
    [u32; 3],
    [u32; 4],
    [u32; 5],
    [u32; 10],
    super::ipv4::Header,
    super::ipv6::Header,
    super::transport::TcpHead,
);

/// A frame that can be read, written and resized. Offsets are bytes from the frame's first byte;
/// an access beyond its end fails and changes nothing.
pub trait PacketView {
    /// Bytes of the frame.
    fn length(&self) -> usize;

    /// Copies a value out.
    fn read<T: Wire>(&self, offset: usize) -> Option<T>;

    /// Copies a value in.
    fn write<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Adds `bytes` in front of the frame (their content is undefined); false if there is no room.
    fn grow_front(&mut self, bytes: usize) -> bool;

    /// Removes `bytes` from the front of the frame; false if it is shorter.
    fn shrink_front(&mut self, bytes: usize) -> bool;

    /// Cuts the frame to `length` bytes; false if it is shorter.
    fn truncate(&mut self, length: usize) -> bool;

    /// Interface the frame came in on.
    fn ingress_ifindex(&self) -> u32;
}
