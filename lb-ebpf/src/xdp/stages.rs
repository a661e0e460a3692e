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
    let mut verdict = Packed::from_bits(if DRY { lb_dry_start(ctx) } else { lb_start(ctx) });
    if verdict.is_pending() {
        if verdict.is_ipv4() {
            lb_prepare4(ctx)
        } else {
            lb_prepare6(ctx)
        };
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

macro_rules! dispatch {
    ($($name:ident {
        $flow:ident, $fragment:ident, $translate:ident, $reply:ident, $echo:ident,
        $icmp_error:ident, $icmp_nat:ident, $icmp_reply:ident, $too_big:ident
    })+) => {$(
        #[inline(always)]
        fn $name(ctx: *mut xdp_md, verdict: Packed) -> u64 {
            match verdict.detour() {
                1 => $flow(ctx),
                2 => $fragment(ctx),
                3 => $translate(ctx),
                4 => $reply(ctx),
                5 => $echo(ctx),
                6 => $icmp_error(ctx),
                7 => $icmp_nat(ctx),
                8 => $icmp_reply(ctx),
                _ => $too_big(ctx, verdict.argument().into()),
            }
        }
    )+};
}

dispatch! {
    live4 {
        lb_flow4, lb_fragment4, lb_translate4, lb_reply4, lb_echo4,
        lb_icmp_error4, lb_icmp_nat4, lb_icmp_reply4, lb_too_big4
    }
    live6 {
        lb_flow6, lb_fragment6, lb_translate6, lb_reply6, lb_echo6,
        lb_icmp_error6, lb_icmp_nat6, lb_icmp_reply6, lb_too_big6
    }
    dry4 {
        lb_dry_flow4, lb_dry_fragment4, lb_dry_translate4, lb_dry_reply4, lb_echo4,
        lb_dry_icmp_error4, lb_dry_icmp_nat4, lb_dry_icmp_reply4, lb_too_big4
    }
    dry6 {
        lb_dry_flow6, lb_dry_fragment6, lb_dry_translate6, lb_dry_reply6, lb_echo6,
        lb_dry_icmp_error6, lb_dry_icmp_nat6, lb_dry_icmp_reply6, lb_too_big6
    }
}

macro_rules! detours {
    ($($name:ident = $tables:ident $v4:literal $detour:ident;)+) => {$(
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(ctx: *mut xdp_md) -> u64 {
            take::<$v4, $tables<'_>>(&XdpContext::new(ctx), Detour::$detour, 0)
        }
    )+};
}

detours! {
    lb_flow4 = Live true Flow;
    lb_flow6 = Live false Flow;
    lb_fragment4 = Live true Fragment;
    lb_fragment6 = Live false Fragment;
    lb_translate4 = Live true Translate;
    lb_translate6 = Live false Translate;
    lb_reply4 = Live true Reply;
    lb_reply6 = Live false Reply;
    lb_icmp_error4 = Live true IcmpError;
    lb_icmp_error6 = Live false IcmpError;
    lb_icmp_nat4 = Live true IcmpTranslate;
    lb_icmp_nat6 = Live false IcmpTranslate;
    lb_icmp_reply4 = Live true IcmpReply;
    lb_icmp_reply6 = Live false IcmpReply;
    lb_echo4 = Live true Echo;
    lb_echo6 = Live false Echo;
    lb_dry_flow4 = Dry true Flow;
    lb_dry_flow6 = Dry false Flow;
    lb_dry_fragment4 = Dry true Fragment;
    lb_dry_fragment6 = Dry false Fragment;
    lb_dry_translate4 = Dry true Translate;
    lb_dry_translate6 = Dry false Translate;
    lb_dry_reply4 = Dry true Reply;
    lb_dry_reply6 = Dry false Reply;
    lb_dry_icmp_error4 = Dry true IcmpError;
    lb_dry_icmp_error6 = Dry false IcmpError;
    lb_dry_icmp_nat4 = Dry true IcmpTranslate;
    lb_dry_icmp_nat6 = Dry false IcmpTranslate;
    lb_dry_icmp_reply4 = Dry true IcmpReply;
    lb_dry_icmp_reply6 = Dry false IcmpReply;
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_too_big4(ctx: *mut xdp_md, mtu: u32) -> u64 {
    take::<true, Live<'_>>(&XdpContext::new(ctx), Detour::TooBig, mtu as u16)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_too_big6(ctx: *mut xdp_md, mtu: u32) -> u64 {
    take::<false, Live<'_>>(&XdpContext::new(ctx), Detour::TooBig, mtu as u16)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_prepare4(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    path::prepare::<true, _, _>(&Frame::new(&ctx), &Live::new(&ctx));
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_prepare6(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    path::prepare::<false, _, _>(&Frame::new(&ctx), &Live::new(&ctx));
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_start(ctx: *mut xdp_md) -> u64 {
    let ctx = XdpContext::new(ctx);
    path::start(&mut Frame::new(&ctx), &Live::new(&ctx)).to_bits()
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
