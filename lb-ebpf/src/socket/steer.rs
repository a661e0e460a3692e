//! `lb_steer`: hands connections and datagrams for proxied VIPs to the proxy's sockets.

use aya_ebpf::{bindings::bpf_sk_lookup, macros::sk_lookup, programs::SkLookupContext};
use lb_common::{
    abi::{VipEntry, VipKey4, VipKey6},
    steer::{self, Query, SteerOutcome, Vips},
};

use crate::{
    maps::{SOCKETS, STEER_STAT},
    tables,
};

/// `SK_PASS` (`enum sk_action`, linux/bpf.h): go on, with the assigned socket if there is one.
const SK_PASS: u32 = 1;

/// What an empty place in the map answers (include/uapi/asm-generic/errno-base.h).
const ENOENT: i32 = 2;

#[sk_lookup]
pub fn lb_steer(ctx: SkLookupContext) -> u32 {
    let outcome = match steer::slot(&Kernel, &query(ctx.lookup)) {
        Some(slot) => match SOCKETS.redirect_sk_lookup(&ctx, slot as u32, 0) {
            Ok(()) => SteerOutcome::Steered,
            Err(error) if error == -ENOENT => SteerOutcome::NoSocket,
            Err(_) => SteerOutcome::Refused,
        },
        None => SteerOutcome::NotProxied,
    };
    if let Some(count) = STEER_STAT.get_ptr_mut(outcome as u32) {
        // SAFETY: this CPU's own slot; nothing else writes it while the program runs.
        unsafe { *count += 1 };
    }
    SK_PASS
}

/// The VIP maps.
struct Kernel;

impl Vips for Kernel {
    #[inline(always)]
    fn vip4(&self, key: &VipKey4) -> Option<VipEntry> {
        tables::vip4(key)
    }

    #[inline(always)]
    fn vip6(&self, key: &VipKey6) -> Option<VipEntry> {
        tables::vip6(key)
    }
}

#[inline(always)]
fn query(lookup: *const bpf_sk_lookup) -> Query {
    // SAFETY: a valid context. The kernel lets a word be read at a time only, and a volatile load is
    // neither split nor merged.
    unsafe {
        let address = (&raw const (*lookup).local_ip6).cast::<u32>();
        Query {
            family: (&raw const (*lookup).family).read_volatile(),
            protocol: (&raw const (*lookup).protocol).read_volatile(),
            ipv4: (&raw const (*lookup).local_ip4).read_volatile(),
            ipv6: [
                address.read_volatile(),
                address.add(1).read_volatile(),
                address.add(2).read_volatile(),
                address.add(3).read_volatile(),
            ],
            port: ((&raw const (*lookup).local_port).read_volatile() as u16).to_be(),
        }
    }
}
