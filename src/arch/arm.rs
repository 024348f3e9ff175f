//! arm: the inlined switch. What differs from x86_64, and the registers at a landing,
//! are at the head of `asm/arm.S`.

use core::arch::asm;

use super::{Landed, Link, Word, Words};

/// AAPCS32, "Stack constraints at a public interface".
pub(crate) const STACK_ALIGN: usize = 8;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 16;

/// A C function returns [`Words`] in memory, by a hidden first argument.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = false;

// Every register except sp, r6 and r11 is declared clobbered, so the compiler keeps what is
// live, and only that, on the stack. LLVM does not let r6 and r11 be named: they travel in
// the record and are reloaded after landing, off the critical path. `stm` stores in the order
// of register numbers, which that of a record is if r12 holds the landing and lr the sp.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            $($line,)+
            $($operand)+,
            lateout("r4") _, lateout("r5") _, lateout("r7") _, lateout("r8") _,
            lateout("r9") _, lateout("r10") _, lateout("lr") _,
            lateout("d8") _, lateout("d9") _, lateout("d10") _, lateout("d11") _,
            lateout("d12") _, lateout("d13") _, lateout("d14") _, lateout("d15") _,
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
            "ldr r0, [r3, #8]",
            "add r4, r3, #16",
            "adr r12, 2f",
            "mov lr, sp",
            "stm r4, {{r6, r11, r12, lr}}",
            "ldr sp, [r3, #12]",
            "bx r0",
            "2:",
            "ldr r6, [r3, #16]",
            "ldr r11, [r3, #20]";
            inlateout("r3") link => came_back,
            inlateout("r1") word => out,
            inlateout("r2") tag => out_tag
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
            "ldr r0, [r3, #24]",
            "adr r12, 2f",
            "mov lr, sp",
            "stm r3, {{r6, r11, r12, lr}}",
            "ldr sp, [r3, #28]",
            "bx r0",
            "2:",
            "ldr r6, [r3, #0]",
            "ldr r11, [r3, #4]";
            inlateout("r3") link => _,
            inlateout("r1") word => out,
            inlateout("r2") tag => out_tag
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
            "ldr r5, [r3, #8]",
            "adr r12, 2f",
            "mov lr, sp",
            "stm r0, {{r6, r11, r12, lr}}",
            "ldr sp, [r3, #12]",
            "bx r5",
            "2:",
            "ldr r6, [r3, #0]",
            "ldr r11, [r3, #4]";
            inlateout("r3") to => _,
            inlateout("r0") from => _,
            inlateout("r1") word => out,
            inlateout("r2") tag => out_tag
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
            "mov r2, lr",
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
    // The distance of the offset table's entry stands in the code, jumped over.
    // SAFETY: reads that entry and the thread pointer.
    unsafe {
        asm!(
            "ldr {0}, 3f",
            "2: ldr {0}, [pc, {0}]",
            "b 4f",
            "3: .word siding_0_1_thread_words(gottpoff) - (2b + 8 - 3b)",
            "4: mrc p15, 0, {1}, c13, c0, 3",
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
            "mov r12, r12, ror #3",
            "mov r12, r12, ror #13",
            "mov r12, r12, ror #29",
            "mov r12, r12, ror #19",
            "orr r10, r10, r10",
            inlateout("r3") 0_usize => answer,
            in("r4") request,
            options(nostack, preserves_flags),
        );
    }
    answer
}

/// Asks for the cache line at `address`; harmless for any address.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    // SAFETY: a prefetch never faults.
    unsafe { asm!("pld [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) };
}

/// FPSCR: the control bits a callee must preserve (AAPCS32, "VFP register usage
/// conventions"), and with them, as in MXCSR, the exception flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    fpscr: usize,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let fpscr;
        // SAFETY: reads a register.
        unsafe { asm!("vmrs {}, fpscr", out(reg) fpscr, options(nomem, nostack, preserves_flags)) };
        FpControl { fpscr }
    }

    #[inline]
    pub(crate) fn write(&self) {
        // SAFETY: the word comes from `read`, so no reserved bit is set.
        unsafe { asm!("vmsr fpscr, {}", in(reg) self.fpscr, options(nostack)) };
    }
}
