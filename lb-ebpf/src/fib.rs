//! Asking the host's routing and neighbour tables (`bpf_fib_lookup`).

use aya_ebpf::{EbpfContext as _, helpers::bpf_fib_lookup, programs::XdpContext};
use lb_common::{
    abi::{NextHop, Words, copied},
    tables::{Route, RouteStatus},
};

use crate::maps::FIB_QUERY;

/// `struct bpf_fib_lookup` (include/uapi/linux/bpf.h) with its unions spelt out.
#[repr(C)]
pub struct FibQuery {
    family: u8,
    l4_protocol: u8,
    source_port: u16,
    destination_port: u16,
    length: u16,
    ifindex: u32,
    traffic_class: u32,
    source: Words,
    destination: Words,
    vlan: u32,
    /// Source and destination MAC.
    macs: [u32; 3],
}

const _: () = assert!(size_of::<FibQuery>() == 64);

/// Results of `bpf_fib_lookup` (include/uapi/linux/bpf.h).
const FIB_SUCCESS: i64 = 0;
const FIB_NO_NEIGHBOUR: i64 = 7;
const FIB_TOO_BIG: i64 = 8;
/// Address families (include/linux/socket.h).
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The way to an address. The query lies in a map, not on the stack, which is short here.
#[inline(always)]
pub fn route(ctx: &XdpContext, destination: &Words, is_ipv4: bool, length: u16) -> Route {
    let Some(query) = FIB_QUERY.get_ptr_mut(0) else { return Route::missing(RouteStatus::None, 0) };
    // SAFETY: this CPU's own slot, which nothing else touches while the program runs.
    let query = unsafe { &mut *query };
    // Every other field is zero, as the map was made, and is left so by the kernel.
    query.family = if is_ipv4 { AF_INET } else { AF_INET6 };
    query.length = length;
    query.ifindex = ctx.ingress_ifindex() as u32;
    query.traffic_class = 0;
    if is_ipv4 {
        query.destination[0] = destination[3];
    } else {
        query.destination = copied(destination);
    }
    // SAFETY: a valid context, and a query of the size given.
    let result = unsafe {
        let size = size_of::<FibQuery>() as i32;
        bpf_fib_lookup(ctx.as_ptr(), (&raw mut *query).cast(), size, 0)
    };
    match result {
        FIB_SUCCESS => {
            // The kernel answers source first; a frame starts with the destination.
            let [a, b, c] = query.macs;
            let macs = [b >> 16 | c << 16, c >> 16 | a << 16, a >> 16 | b << 16];
            Route::found(NextHop { ifindex: query.ifindex, macs })
        }
        FIB_NO_NEIGHBOUR => Route::missing(RouteStatus::NoNeighbour, 0),
        // Since Linux 5.12 the MTU comes back in the place of the length.
        FIB_TOO_BIG => Route::missing(RouteStatus::TooBig, query.length),
        _ => Route::missing(RouteStatus::None, 0),
    }
}
