//! aarch64: the inlined switch. What differs from x86_64, and the registers at a landing,
//! are at the head of `asm/aarch64.S`.

use core::arch::asm;

use super::{Landed, Link, Word, Words};

/// AAPCS64, "Universal stack constraints": sp is a multiple of 16 wherever memory is
/// accessed through it.
pub(crate) const STACK_ALIGN: usize = 16;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 32;

/// A C function returns [`Words`] in two registers.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = true;

// Every register except sp, x19 and x29 is declared clobbered, so the compiler keeps what
// is live, and only that, on the stack. LLVM does not let x19 and x29 be named: they
// travel in the record and are reloaded after landing, off the critical path. v8-v15:
// a callee preserves their low halves, a switch nothing. `hint 36` is `bti j`.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            $($line,)+
            $($operand)+,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
            lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
            lateout("x28") _, lateout("lr") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
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
            "ldp x17, x16, [x2, 16]",
            "adr x8, 2f",
            "mov x9, sp",
            "stp x19, x29, [x2, 32]",
            "stp x8, x9, [x2, 48]",
            "mov sp, x16",
            "br x17",
            "2:",
            "hint 36",
            "ldp x19, x29, [x2, 32]";
            inlateout("x2") link => came_back,
            inlateout("x0") word => out,
            inlateout("x1") tag => out_tag
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
            "ldp x17, x16, [x2, 48]",
            "adr x8, 2f",
            "mov x9, sp",
            "stp x19, x29, [x2, 0]",
            "stp x8, x9, [x2, 16]",
            "mov sp, x16",
            "br x17",
            "2:",
            "hint 36",
            "ldp x19, x29, [x2, 0]";
            inlateout("x2") link => _,
            inlateout("x0") word => out,
            inlateout("x1") tag => out_tag
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
            "ldp x17, x16, [x2, 16]",
            "adr x8, 2f",
            "mov x9, sp",
            "stp x19, x29, [x3, 0]",
            "stp x8, x9, [x3, 16]",
            "mov sp, x16",
            "br x17",
            "2:",
            "hint 36",
            "ldp x19, x29, [x2, 0]";
            inlateout("x2") to => _,
            inlateout("x3") from => _,
            inlateout("x0") word => out,
            inlateout("x1") tag => out_tag
        );
    }
    Words { word: out, tag: out_tag }
}

/// The stack pointer here.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: goes on in `$to`, which finds the return address of the
/// call as its third argument.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            "hint #34", // bti c
            "mov x2, x30",
            "b {to}",
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
            "adrp {0}, :gottprel:siding_0_1_thread_words",
            "ldr {0}, [{0}, :gottprel_lo12:siding_0_1_thread_words]",
            "mrs {1}, tpidr_el0",
            "add {0}, {0}, {1}",
            out(reg) words,
            out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    words
}

/// As on x86_64.
pub(crate) fn client_request(request: &[usize; 6]) -> usize {
    let answer;
    // SAFETY: turns a register by twice its width, and merges one with itself.
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inlateout("x3") 0_usize => answer,
            in("x4") request,
            options(nostack, preserves_flags),
        );
    }
    answer
}

/// Asks for the cache line at `address`; harmless for any address.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    // SAFETY: a prefetch never faults.
    unsafe {
        asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

/// FPCR: the control bits a callee must preserve (AAPCS64, "SIMD and Floating-Point
/// Registers").
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    fpcr: u64,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let fpcr;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags)) };
        FpControl { fpcr }
    }

    #[inline]
    pub(crate) fn write(&self) {
        // SAFETY: the word comes from `read`, so no reserved bit is set.
        unsafe { asm!("msr fpcr, {}", in(reg) self.fpcr, options(nostack, preserves_flags)) };
    }
}
