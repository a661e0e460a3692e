//! The parsed packet that waits for a detour, and what that shall do.

use lb_common::{
    abi::copied,
    packet::{Ip, L4_MAX},
    tables::Owed,
};

use crate::{
    context::opaque,
    maps::{OWED, SCRATCH},
};

/// Writes a parsed packet into the scratch map.
#[inline(always)]
pub fn keep(ip: &Ip) {
    if let Some(place) = SCRATCH.get_ptr_mut(0) {
        // SAFETY: this CPU's own slot, which nothing else touches while the program runs.
        unsafe {
            *place = Ip { source: copied(&ip.source), destination: copied(&ip.destination), ..*ip };
        }
    }
}

/// Reads the parsed packet back.
#[inline(always)]
pub fn kept() -> Option<Ip> {
    /// 22 is the largest; a mask proves it is small.
    const L3_MASK: usize = 31;
    // SAFETY: as in `keep`; made opaque so that the compiler does not see that what is read is what
    // was written.
    let ip = unsafe { &*(opaque(SCRATCH.get_ptr_mut(0)? as usize) as *const Ip) };
    Some(Ip {
        l3: ip.l3 & L3_MASK,
        l4: ip.l4 & (L4_MAX - 1),
        source: copied(&ip.source),
        destination: copied(&ip.destination),
        ..*ip
    })
}

/// Writes what is left to do into its map.
#[inline(always)]
pub fn owe(owed: &Owed) {
    if let Some(place) = OWED.get_ptr_mut(0) {
        // SAFETY: as in `keep`.
        unsafe { *place = *owed };
    }
}

/// Reads what is left to do back.
#[inline(always)]
pub fn owed() -> Option<Owed> {
    // SAFETY: as in `keep`.
    OWED.get_ptr_mut(0).map(|place| unsafe { *place })
}
