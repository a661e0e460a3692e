//! `lb_forward`: the load balancer.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::bpf_redirect,
    macros::xdp,
    programs::XdpContext,
};
use aya_log_ebpf::info;
use lb_common::{abi::Features, packet::PacketView as _, tables::Tables as _, verdict::Packed};

use crate::{context::Frame, count, globals, tables::Dry, xdp::stages};

#[xdp]
pub fn lb_forward(ctx: XdpContext) -> u32 {
    let frame = Frame::new(&ctx);
    if let Some(record) = frame.trace_record() {
        // SAFETY: `trace_record` checked that the record is inside the metadata area.
        let record = unsafe { record.read_unaligned() };
        if record.cookie == globals::trace_cookie() && record.cookie != 0 {
            return lb_trace(ctx.ctx);
        }
    }
    live(&ctx, frame)
}

#[inline(always)]
fn live(ctx: &XdpContext, frame: Frame) -> u32 {
    let bytes = frame.length() as u64;
    let verdict = stages::run::<false>(ctx.ctx);
    count::verdict(verdict, bytes);
    if globals::features().has(Features::LOG) {
        lb_log(verdict.to_bits());
    }
    match action(&frame, verdict) {
        xdp_action::XDP_REDIRECT => {
            let forwarded = verdict.is_forwarded();
            let to = if forwarded { verdict.ifindex() } else { frame.ingress_ifindex() };
            // SAFETY: plain numbers; the kernel checks the interface.
            unsafe { bpf_redirect(to, 0) as u32 }
        }
        action => action,
    }
}

/// The same path without a mark: decisions are written into the metadata in front of the packet. A
/// function of its own: the live path's registers are not shared with it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_trace(ctx: *mut xdp_md) -> u32 {
    const FORWARDED: u8 = u8::MAX;
    let ctx = &XdpContext::new(ctx);
    let tables = Dry::new(ctx);
    let verdict = stages::run::<true>(ctx.ctx);
    tables.note(|record| {
        record.outcome =
            if verdict.is_forwarded() { FORWARDED } else { verdict.outcome_index() as u8 };
    });
    action(&Frame::new(ctx), verdict)
}

#[inline(always)]
fn action(frame: &Frame, verdict: Packed) -> u32 {
    if verdict.is_forwarded() {
        if verdict.ifindex() == frame.ingress_ifindex() {
            xdp_action::XDP_TX
        } else {
            xdp_action::XDP_REDIRECT
        }
    } else if verdict.is_dropped() {
        xdp_action::XDP_DROP
    } else if verdict.is_answered() {
        // Back where it came from, but not by XDP_TX: a veth sends that only if its peer has an XDP
        // program too, and answers are rare enough for the longer way.
        xdp_action::XDP_REDIRECT
    } else {
        xdp_action::XDP_PASS
    }
}

/// A function of its own: its stack is not the hot path's.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_log(bits: u64) -> u64 {
    let verdict = Packed::from_bits(bits);
    if verdict.is_forwarded() {
        info!((), "backend {} interface {}", verdict.backend(), verdict.ifindex());
    } else {
        info!((), "outcome {}", verdict.outcome_index());
    }
    0
}
