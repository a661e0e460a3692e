//! `lb_pass`: hands every frame to the host. A veth peer needs an XDP program before frames can be
//! redirected to it; this is the smallest, and the baseline that benches subtract.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

#[xdp]
pub fn lb_pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}
