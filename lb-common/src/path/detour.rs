//! Everything off the hot path: functions of their own that start from the packet that was kept.
//!
//! The path does not call them: it ends by naming the one it needs, and whoever runs the path runs
//! that. So in the kernel the hot path's stack is free again when a detour starts (a BPF call chain
//! has 512 bytes, `MAX_BPF_STACK`), each detour is verified once and not once per way that leads
//! there, and values handed over do not cost the hot path its registers.

use super::{classify, flow, fragment, guard, icmp, nat, reply, sctp, too_big};
use crate::{packet::PacketView, tables::Tables, verdict::Packed};

/// What a packet needs that the hot path does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Detour {
    /// An untranslated VIP's packet in a moved slot, a first fragment, or one whose next hop is not
    /// cached.
    Flow = 1,
    /// A later fragment.
    Fragment = 2,
    /// A translated VIP's packet.
    Translate = 3,
    /// Perhaps a translated flow's reply.
    Reply = 4,
    /// An echo request to a VIP address.
    Echo = 5,
    /// An ICMP error to a VIP address.
    IcmpError = 6,
    /// An ICMP error about a translated VIP's flow.
    IcmpTranslate = 7,
    /// An ICMP error that perhaps is about a translated flow's packet to its backend.
    IcmpReply = 8,
    /// A packet larger than the path to its backend; the argument is what that carries, bytes.
    TooBig = 9,
    /// The hot path of IPv6.
    Ipv6 = 10,
    /// A packet of a VIP with source ranges.
    Guard = 11,
    /// A translated SCTP packet whose ports have changed.
    Checksum = 12,
}

/// Detours that one packet takes at most: to IPv6's hot path, to the source ranges, its own, and "too
/// big" or SCTP's checksum; or, in place of the last three, an ICMP error's and that of its translation.
pub const DETOURS_MAX: usize = 4;

impl Detour {
    /// Names the detour as the path's result.
    #[inline(always)]
    pub const fn needed<const V4: bool>(self) -> Packed {
        Packed::pending(self as u8, V4, 0)
    }

    /// Names [`Self::TooBig`] as the path's result.
    #[inline(always)]
    pub const fn too_big<const V4: bool>(mtu: u16) -> Packed {
        Packed::pending(Self::TooBig as u8, V4, mtu)
    }

    /// The detour that a pending result names.
    #[inline(always)]
    pub const fn of(pending: Packed) -> Option<Self> {
        Some(match pending.detour() {
            1 => Self::Flow,
            2 => Self::Fragment,
            3 => Self::Translate,
            4 => Self::Reply,
            5 => Self::Echo,
            6 => Self::IcmpError,
            7 => Self::IcmpTranslate,
            8 => Self::IcmpReply,
            9 => Self::TooBig,
            10 => Self::Ipv6,
            11 => Self::Guard,
            12 => Self::Checksum,
            _ => return None,
        })
    }
}

/// Takes a detour.
#[inline(always)]
pub fn take<const V4: bool, V: PacketView, T: Tables>(
    view: &mut V,
    tables: &T,
    detour: Detour,
    argument: u16,
) -> Packed {
    match detour {
        Detour::Flow => flow::serve::<V4, V, T>(view, tables),
        Detour::Fragment => fragment::follow::<V4, V, T>(view, tables),
        Detour::Translate => nat::to_backend::<V4, V, T>(view, tables),
        Detour::Reply => reply::translate::<V4, V, T>(view, tables),
        Detour::Echo => icmp::answer_echo::<V4, V, T>(view, tables),
        Detour::IcmpError => icmp::error_to_backend::<V4, V, T>(view, tables),
        Detour::IcmpTranslate => icmp::translated_error_to_backend::<V4, V, T>(view, tables),
        Detour::IcmpReply => icmp::error_to_client::<V4, V, T>(view, tables),
        Detour::TooBig => too_big::answer::<V4, V, T>(view, tables, argument),
        Detour::Ipv6 => classify::again::<V4, V, T>(view, tables),
        Detour::Guard => guard::admit::<V4, V, T>(view, tables),
        Detour::Checksum => sctp::move_checksum(view, tables),
    }
}
