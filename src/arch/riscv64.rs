//! riscv64: the inlined switch. What differs from x86_64, and the registers at a landing,
//! are at the head of `asm/riscv64.S`.

use core::arch::asm;

use super::{Landed, Link, Word, Words};

/// RISC-V ELF psABI, "Integer Calling Convention": sp is 16-byte aligned at a call.
pub(crate) const STACK_ALIGN: usize = 16;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 32;

/// A C function returns [`Words`] in two registers.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = true;

// Every register except sp, s0, s1, gp and tp is declared clobbered, so the compiler keeps
// what is live, and only that, on the stack. LLVM does not let s0 and s1 be named: they
// travel in the record and are reloaded after landing, off the critical path.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            $($line,)+
            $($operand)+,
            lateout("s2") _, lateout("s3") _, lateout("s4") _, lateout("s5") _,
            lateout("s6") _, lateout("s7") _, lateout("s8") _, lateout("s9") _,
            lateout("s10") _, lateout("s11") _, lateout("ra") _,
            lateout("fs0") _, lateout("fs1") _, lateout("fs2") _, lateout("fs3") _,
            lateout("fs4") _, lateout("fs5") _, lateout("fs6") _, lateout("fs7") _,
            lateout("fs8") _, lateout("fs9") _, lateout("fs10") _, lateout("fs11") _,
            clobber_abi("C"),
        )
    };
}

/// Enters the inner side of `link`; returns when a job of this resumer pauses or finishes.
///
/// # Safety
/// The inner record is fresh or paused, and nobody else enters it. Nothing may unwind
/// out of the job: stable `asm!` is nounwind.
#[inline(always)]
pub(crate) unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed {
    let (came_back, out, out_tag);
    // switch 4/7: our record is filled, the other one entered; label 2 is where we land.
    // SAFETY: the caller vouches for the record; all registers that are not restored
    // by the landing are clobbers or outputs.
    unsafe {
        switch!(
            "ld t2, 16(a2)",
            "lla t1, 2f",
            "sd s1, 32(a2)",
            "sd s0, 40(a2)",
            "sd t1, 48(a2)",
            "sd sp, 56(a2)",
            "ld sp, 24(a2)",
            "jr t2",
            "2:",
            "ld s1, 32(a2)",
            "ld s0, 40(a2)";
            inlateout("a2") link => came_back,
            inlateout("a0") word => out,
            inlateout("a1") tag => out_tag
        );
    }
    Landed { link: came_back, word: out, tag: out_tag }
}

/// Leaves the inner side of `link` for whoever resumed it; returns when it is resumed.
///
/// # Safety
/// The calling code runs on the inner side of `link`, which was entered by `resume`
/// or `hand_over`.
#[inline(always)]
pub(crate) unsafe fn pause(link: *mut Link, word: Word, tag: usize) -> Words {
    let (out, out_tag);
    // SAFETY: as in `resume`; the outer record was filled when this side was entered.
    unsafe {
        switch!(
            "ld t2, 48(a2)",
            "lla t1, 2f",
            "sd s1, 0(a2)",
            "sd s0, 8(a2)",
            "sd t1, 16(a2)",
            "sd sp, 24(a2)",
            "ld sp, 56(a2)",
            "jr t2",
            "2:",
            "ld s1, 0(a2)",
            "ld s0, 8(a2)";
            inlateout("a2") link => _,
            inlateout("a0") word => out,
            inlateout("a1") tag => out_tag
        );
    }
    Words { word: out, tag: out_tag }
}

/// Leaves the inner side of `from` for the inner side of `to`, whose resumer the caller
/// has already filled in; returns when `from` is resumed.
///
/// # Safety
/// The calling code runs on the inner side of `from`; `to` is fresh or paused, its
/// outer record names a resumer that expects either of them, and nobody else enters it.
#[inline(always)]
pub(crate) unsafe fn hand_over(from: *mut Link, to: *mut Link, word: Word, tag: usize) -> Words {
    let (out, out_tag);
    // SAFETY: as in `resume`.
    unsafe {
        switch!(
            "ld t2, 16(a2)",
            "lla t1, 2f",
            "sd s1, 0(a3)",
            "sd s0, 8(a3)",
            "sd t1, 16(a3)",
            "sd sp, 24(a3)",
            "ld sp, 24(a2)",
            "jr t2",
            "2:",
            "ld s1, 0(a2)",
            "ld s0, 8(a2)";
            inlateout("a2") to => _,
            inlateout("a3") from => _,
            inlateout("a0") word => out,
            inlateout("a1") tag => out_tag
        );
    }
    Words { word: out, tag: out_tag }
}

/// The stack pointer here.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: goes on in `$to`, which finds the return address of the
/// call as its third argument.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            "mv a2, ra",
            "tail {to}",
            to = sym $to,
        )
    };
}
#[cfg(feature = "capi")]
pub(crate) use with_caller;

/// The two words that this thread has in `asm/macros.h`, zero at first.
#[inline(always)]
#[cfg(all(feature = "capi", target_os = "linux"))]
pub(crate) fn thread_words() -> *mut [usize; 2] {
    let words;
    // SAFETY: reads the thread pointer and one entry of the offset table.
    unsafe {
        asm!(
            "la.tls.ie {0}, siding_0_1_thread_words",
            "add {0}, {0}, tp",
            out(reg) words,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    words
}

/// As on x86_64, but nothing asks: no valgrind for this architecture was at hand.
pub(crate) fn client_request(_: &[usize; 6]) -> usize {
    0
}

/// Asks for the cache line at `address`; harmless for any address.
///
/// `prefetch.r` of Zicbop, spelled as what it is: an `ori` into x0, which the base ISA
/// reserves as a hint and cores without Zicbop ignore.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    // SAFETY: a hint changes no state and never faults.
    unsafe {
        asm!("ori zero, {}, 1", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

/// fcsr: the rounding mode, and with it, as in MXCSR, the exception flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    fcsr: usize,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let fcsr;
        // SAFETY: reads a register.
        unsafe { asm!("frcsr {}", out(reg) fcsr, options(nomem, nostack, preserves_flags)) };
        FpControl { fcsr }
    }

    #[inline]
    pub(crate) fn write(&self) {
        // SAFETY: the word comes from `read`, so it is a valid one.
        unsafe { asm!("fscsr {}", in(reg) self.fcsr, options(nostack)) };
    }
}
