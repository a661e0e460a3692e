//! `lb_decap`: the backend's end of a tunnel. Strips one outer IP header from packets that are
//! addressed to this host and hands the inner packet to the host's stack.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use lb_common::{decap, packet::PacketView as _};

use crate::{
    context::Frame,
    maps::{DECAP_LOCAL, DECAP_STAT},
};

#[xdp]
pub fn lb_decap(ctx: XdpContext) -> u32 {
    let mut frame = Frame::new(&ctx);
    let bytes = frame.length() as u64;
    // SAFETY: the value is not looked at.
    let outcome = decap::strip(&mut frame, |address| unsafe { DECAP_LOCAL.get(address) }.is_some());
    if let Some(counters) = DECAP_STAT.get_ptr_mut(outcome as u32) {
        // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
        let counters = unsafe { &mut *counters };
        counters.packets += 1;
        counters.bytes += bytes;
    }
    if outcome.is_drop() { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}
