//! The XDP context as a `PacketView`: with `tables.rs` and `count.rs` the only pointer code.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
    programs::XdpContext,
};
use lb_common::{
    abi::{TRACE_BYTES, TraceRecord},
    packet::{PacketView, Wire},
};

/// A received frame.
pub struct Frame {
    ctx: *mut xdp_md,
}

impl Frame {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { ctx: ctx.ctx }
    }

    /// The trace record in the metadata area, if there is room for one.
    #[inline(always)]
    pub fn trace_record(&self) -> Option<*mut TraceRecord> {
        // SAFETY: the kernel passes a valid context; the verifier checks the bounds below.
        let (meta, data) = unsafe { ((*self.ctx).data_meta as usize, (*self.ctx).data as usize) };
        (meta + TRACE_BYTES <= data).then_some(meta as *mut TraceRecord)
    }

    // The context holds packet pointers in 32-bit fields, and the kernel makes a load of one a load
    // of the whole pointer. The compiler would keep the 32 bits and extend them where they are
    // used, which the verifier refuses; so the loads are written out.

    #[inline(always)]
    fn start(&self) -> usize {
        let start: usize;
        // SAFETY: `data`, the first field of the valid context that the kernel passes.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + 0)",
                out(reg) start,
                in(reg) self.ctx,
                options(pure, readonly, nostack),
            );
        }
        start
    }

    #[inline(always)]
    fn end(&self) -> usize {
        let end: usize;
        // SAFETY: `data_end`, the second field of the valid context that the kernel passes.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + 4)",
                out(reg) end,
                in(reg) self.ctx,
                options(pure, readonly, nostack),
            );
        }
        end
    }

    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let from = self.start() + offset;
        (from + size_of::<T>() <= self.end()).then_some(from as *mut T)
    }
}

/// The same value, about which the compiler knows nothing: it must compute it as written before,
/// and compare it as written after.
#[inline(always)]
pub fn opaque(mut value: usize) -> usize {
    // SAFETY: a register copied to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack)) };
    value
}

impl PacketView for Frame {
    #[inline(always)]
    fn length(&self) -> usize {
        // The verifier subtracts packet pointers as 64-bit values only; seeing through, the compiler
        // narrows the subtraction where 32 bits of it are used.
        opaque(self.end() - self.start())
    }

    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        // SAFETY: `at` checked the bounds; `Wire` types are valid for every bit pattern. A plain,
        // not an unaligned, read: IP headers sit two bytes off a word, and for an unaligned read
        // the compiler would load bytes one by one, because the BPF stack wants alignment; packet
        // memory does not (the kernel refuses such programs where the machine could not).
        self.at::<T>(offset).map(|value| unsafe { *value })
    }

    #[inline(always)]
    fn write<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        // SAFETY: as in `read`; nothing else refers to packet memory.
        self.at::<T>(offset).map(|place| unsafe { *place = value })
    }

    #[inline(always)]
    fn grow_front(&mut self, bytes: usize) -> bool {
        // SAFETY: a valid context; packet pointers are made anew after every call.
        unsafe { bpf_xdp_adjust_head(self.ctx, -(bytes as i32)) == 0 }
    }

    #[inline(always)]
    fn shrink_front(&mut self, bytes: usize) -> bool {
        // SAFETY: as in `grow_front`.
        unsafe { bpf_xdp_adjust_head(self.ctx, bytes as i32) == 0 }
    }

    #[inline(always)]
    fn truncate(&mut self, length: usize) -> bool {
        let cut = self.length() as i32 - length as i32;
        // SAFETY: as in `grow_front`.
        cut >= 0 && unsafe { bpf_xdp_adjust_tail(self.ctx, -cut) == 0 }
    }

    #[inline(always)]
    fn ingress_ifindex(&self) -> u32 {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.ctx).ingress_ifindex }
    }
}
