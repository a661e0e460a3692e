//! The parts of the packet path as global functions: the verifier checks each of them once, on its
//! own, knowing only that it is handed an XDP context.

use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use lb_common::{
    path::{self, Detour},
    tables::Tables,
    verdict::Packed,
};

use crate::{
    context::Frame,
    tables::{Dry, Live},
};

/// Runs the path: the hot part, then the detours it names. `DRY` only reads the maps and notes the
/// decisions.
#[inline(always)]
pub fn run<const DRY: bool>(ctx: *mut xdp_md) -> Packed {
    let mut verdict = if DRY { Packed::from_bits(lb_dry_start(ctx)) } else { start(ctx) };
    if verdict.is_pending() && verdict.is_ipv4() {
        lb_prepare4(ctx);
    }
    for _ in 0..path::DETOURS_MAX {
        if !verdict.is_pending() {
            break;
        }
        let bits = match (DRY, verdict.is_ipv4()) {
            (false, true) => live4(ctx, verdict),
            (false, false) => live6(ctx, verdict),
            (true, true) => dry4(ctx, verdict),
            (true, false) => dry6(ctx, verdict),
        };
        verdict = Packed::from_bits(bits);
    }
    verdict
}

/// Makes a function of each detour, and one that takes the detour a pending result names. What no
/// other arm takes is `TooBig`, which alone has an argument: of one that is not used the compiler
/// would not pass a value, and the verifier wants one.
macro_rules! detours {
    ($($take:ident = $tables:ident $v4:literal {
        $($detour:ident => $name:ident,)+
        _ => $too_big:ident
    })+) => {$(
        $(
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $name(ctx: *mut xdp_md) -> u64 {
                take::<$v4, $tables<'_>>(&XdpContext::new(ctx), Detour::$detour, 0)
            }
        )+

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $too_big(ctx: *mut xdp_md, mtu: u32) -> u64 {
            take::<$v4, $tables<'_>>(&XdpContext::new(ctx), Detour::TooBig, mtu as u16)
        }

        #[inline(always)]
        fn $take(ctx: *mut xdp_md, pending: Packed) -> u64 {
            match Detour::of(pending) {
                $(Some(Detour::$detour) => $name(ctx),)+
                _ => $too_big(ctx, pending.argument().into()),
            }
        }
    )+};
}

detours! {
    live4 = Live true {
        Flow => lb_flow4,
        Fragment => lb_fragment4,
        Translate => lb_translate4,
        Reply => lb_reply4,
        Echo => lb_echo4,
        IcmpError => lb_icmp_error4,
        IcmpTranslate => lb_icmp_nat4,
        IcmpReply => lb_icmp_reply4,
        Guard => lb_guard4,
        Checksum => lb_checksum4,
        _ => lb_too_big4
    }
    live6 = Live false {
        Flow => lb_flow6,
        Fragment => lb_fragment6,
        Translate => lb_translate6,
        Reply => lb_reply6,
        Echo => lb_echo6,
        IcmpError => lb_icmp_error6,
        IcmpTranslate => lb_icmp_nat6,
        IcmpReply => lb_icmp_reply6,
        Guard => lb_guard6,
        Checksum => lb_checksum6,
        Ipv6 => lb_ipv6,
        _ => lb_too_big6
    }
    dry4 = Dry true {
        Flow => lb_dry_flow4,
        Fragment => lb_dry_fragment4,
        Translate => lb_dry_translate4,
        Reply => lb_dry_reply4,
        Echo => lb_dry_echo4,
        IcmpError => lb_dry_icmp_error4,
        IcmpTranslate => lb_dry_icmp_nat4,
        IcmpReply => lb_dry_icmp_reply4,
        Guard => lb_dry_guard4,
        Checksum => lb_dry_checksum4,
        _ => lb_dry_too_big4
    }
    dry6 = Dry false {
        Flow => lb_dry_flow6,
        Fragment => lb_dry_fragment6,
        Translate => lb_dry_translate6,
        Reply => lb_dry_reply6,
        Echo => lb_dry_echo6,
        IcmpError => lb_dry_icmp_error6,
        IcmpTranslate => lb_dry_icmp_nat6,
        IcmpReply => lb_dry_icmp_reply6,
        Guard => lb_dry_guard6,
        Checksum => lb_dry_checksum6,
        Ipv6 => lb_dry_ipv6,
        _ => lb_dry_too_big6
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_prepare4(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    path::prepare4(&Frame::new(&ctx), &Live::new(&ctx));
    0
}

#[inline(always)]
fn start(ctx: *mut xdp_md) -> Packed {
    let ctx = XdpContext::new(ctx);
    path::start(&mut Frame::new(&ctx), &Live::new(&ctx))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_dry_start(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    path::start(&mut Frame::new(&ctx), &Dry::new(&ctx)).to_bits()
}

/// Tables that can be made from a context alone.
trait FromContext<'c>: Tables {
    fn from_context(ctx: &'c XdpContext) -> Self;
}

impl<'c> FromContext<'c> for Live<'c> {
    #[inline(always)]
    fn from_context(ctx: &'c XdpContext) -> Self {
        Self::new(ctx)
    }
}

impl<'c> FromContext<'c> for Dry<'c> {
    #[inline(always)]
    fn from_context(ctx: &'c XdpContext) -> Self {
        Self::new(ctx)
    }
}

#[inline(always)]
fn take<'c, const V4: bool, T: FromContext<'c>>(
    ctx: &'c XdpContext,
    detour: Detour,
    argument: u16,
) -> u64 {
    path::take::<V4, _, _>(&mut Frame::new(ctx), &T::from_context(ctx), detour, argument).to_bits()
}
