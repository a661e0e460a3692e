//! The kernel programs of the load balancer. Nothing is decided here: the packet path is
//! `lb_common::path`; this crate gives it the maps, the context and the counters.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod context;
mod count;
mod fib;
mod globals;
mod maps;
mod scratch;
mod socket;
mod tables;
mod xdp;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The programs use GPL-only helpers (`bpf_fib_lookup`, tracing).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
