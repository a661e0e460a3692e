//! Layout of every map key and value: one noun a file, sizes asserted.
//!
//! Multi-byte protocol fields (addresses, ports) are kept as on the wire, in network byte order;
//! everything else is native. Addresses are four 32-bit words; an IPv4 address is stored
//! IPv4-mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) wherever both families share a table.

mod backend;
mod flow;
mod fragment;
mod globals;
mod info;
mod name;
mod nat;
mod ring;
mod source;
mod stats;
mod trace;
mod vip;
mod vip_info;

pub use backend::{BACKEND_INDEX_BITS, BackendEntry, BackendId, BackendState, Mode, NextHop};
pub use flow::{FLOW_FLAG_CLOSING, FlowEntry, FlowKey};
pub use fragment::{FragmentEntry, FragmentKey, FragmentPath};
pub use globals::{Features, GLOBAL_FEATURES, GLOBAL_NAT_PORTS, GLOBAL_SEED, GLOBAL_TRACE_COOKIE};
pub use info::{LAYOUT_VERSION, LoadInfo};
pub use name::NameEntry;
pub use nat::{NatEntry, NatReverse};
pub use ring::{RingTable, SLOT_MOVED};
pub use source::{SOURCE_BITS, SOURCE_BITS_BEFORE_IPV4, SOURCE_BITS_BEFORE_IPV6, SourceRange};
pub use stats::{BackendCounters, OutcomeCounters, VipEvents};
pub use trace::{TRACE_BYTES, TRACE_NEXT_HOP_CACHED, TRACE_NEXT_HOP_LOOKUP, TraceRecord};
pub use vip::{
    VIP_FLAG_ADDRESS, VIP_FLAG_AFFINITY, VIP_FLAG_PROXIED, VIP_FLAG_SOURCES, VIP_FLAG_UDP_STICKS,
    VipEntry, VipKey4, VipKey6,
};
pub use vip_info::{VIP_REASON_BYTES_MAX, VipInfo};

/// An address as four network-order words.
pub type Words = [u32; 4];

/// The IPv4-mapped form of a network-order IPv4 address.
#[inline(always)]
pub const fn mapped(address: u32) -> Words {
    [0, 0, 0xffff_u32.to_be(), address]
}

/// A copy word by word. A plain copy of an array between two places in memory may become a call of
/// `memmove`, which BPF lacks: the compiler would bring a loop over bytes.
#[inline(always)]
pub const fn copied(words: &Words) -> Words {
    [words[0], words[1], words[2], words[3]]
}

/// Declares user space's right to copy the types bytewise from and to the kernel.
macro_rules! pod {
    ($($name:ty),+ $(,)?) => {$(
        // SAFETY: `repr(C)`, `Copy`, no padding (sizes asserted beside each type), no pointers and
        // every bit pattern is a valid value.
        #[cfg(feature = "user")]
        #[expect(unsafe_code, reason = "the map ABI is where bytes become types")]
        unsafe impl aya::Pod for $name {}
    )+};
}
pub(crate) use pod;
