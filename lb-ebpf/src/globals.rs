//! Read-only globals, set at load; the names are `lb_common::abi::GLOBAL_*`.

use aya_ebpf::Global;
use lb_common::abi::Features;

// The initial values only have to be unusual (the loader sets every global): the compiler merges
// equal constants, and a map key `&0` merged with a global of value 0 would change with it.

#[unsafe(no_mangle)]
static LB_FEATURES: Global<u32> = Global::new(0x8c5f_3b01);

#[unsafe(no_mangle)]
static LB_SEED: Global<u64> = Global::new(0x8c5f_3b02_8c5f_3b02);

#[unsafe(no_mangle)]
static LB_NAT_PORTS: Global<u32> = Global::new(0x8c5f_3b03);

#[unsafe(no_mangle)]
static LB_TRACE_COOKIE: Global<u64> = Global::new(0x8c5f_3b04_8c5f_3b04);

#[inline(always)]
pub fn features() -> Features {
    Features(LB_FEATURES.load())
}

#[inline(always)]
pub fn seed() -> u64 {
    LB_SEED.load()
}

/// First port and count of the NAT range.
#[inline(always)]
pub fn nat_ports() -> (u16, u16) {
    let ports = LB_NAT_PORTS.load();
    ((ports >> 16) as u16, ports as u16)
}

#[inline(always)]
pub fn trace_cookie() -> u64 {
    LB_TRACE_COOKIE.load()
}
