//! What x86 with 64 bits and with 32 have in common.

use core::arch::asm;

/// Asks for the cache line at `address`; harmless for any address.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    // SAFETY: a prefetch never faults.
    unsafe {
        asm!("prefetcht0 [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

/// MXCSR and the x87 control word: the control bits a callee must preserve (x86_64 psABI 3.2.1,
/// i386 psABI 2.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    mxcsr: u32,
    x87: u16,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let mut control = FpControl { mxcsr: 0, x87: 0 };
        // SAFETY: both instructions only store to the memory given.
        unsafe {
            asm!(
                "stmxcsr [{0}]",
                "fnstcw [{1}]",
                in(reg) &raw mut control.mxcsr,
                in(reg) &raw mut control.x87,
                options(nostack, preserves_flags),
            );
        }
        control
    }

    #[inline]
    pub(crate) fn write(&self) {
        // The flags of exceptions are written as well.
        // SAFETY: the words come from `read`, so no reserved bit is set.
        unsafe {
            asm!(
                "ldmxcsr [{0}]",
                "fldcw [{1}]",
                in(reg) &raw const self.mxcsr,
                in(reg) &raw const self.x87,
                options(readonly, nostack),
            );
        }
    }
}
