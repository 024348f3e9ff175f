//! s390x: the inlined switch. What differs from x86_64, and the registers at a landing,
//! are at the head of `asm/s390x.S`.

use core::arch::asm;

use super::{Landed, Link, Word, Words};

/// s390x ELF ABI 1.2.2: sp is 8-byte aligned.
pub(crate) const STACK_ALIGN: usize = 8;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 32;

/// A C function returns [`Words`] in memory.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = false;

// Every register except r10, r11, r15 and the thread pointer (a0, a1) is declared clobbered,
// so the compiler keeps what is live, and only that, on the stack. LLVM does not let r11 be
// named: it travels in the record and is reloaded after landing, off the critical path. So
// does r10, since two in sequence cost no more. f8-f15 are the left halves of v8-v15, which
// nobody preserves, and clobber these too. r14 is where our pc meets sp, to be stored with it.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            $($line,)+
            $($operand)+,
            lateout("r6") _, lateout("r7") _, lateout("r8") _, lateout("r9") _,
            lateout("r12") _, lateout("r13") _,
            lateout("f8") _, lateout("f9") _, lateout("f10") _, lateout("f11") _,
            lateout("f12") _, lateout("f13") _, lateout("f14") _, lateout("f15") _,
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
            "lg %r1, 16(%r5)",
            "larl %r14, 2f",
            "stmg %r10, %r11, 32(%r5)",
            "stmg %r14, %r15, 48(%r5)",
            "lg %r15, 24(%r5)",
            "br %r1",
            "2:",
            "lmg %r10, %r11, 32(%r5)";
            inlateout("r5") link => came_back,
            inlateout("r3") word => out,
            inlateout("r4") tag => out_tag
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
            "lg %r1, 48(%r5)",
            "larl %r14, 2f",
            "stmg %r10, %r11, 0(%r5)",
            "stmg %r14, %r15, 16(%r5)",
            "lg %r15, 56(%r5)",
            "br %r1",
            "2:",
            "lmg %r10, %r11, 0(%r5)";
            inlateout("r5") link => _,
            inlateout("r3") word => out,
            inlateout("r4") tag => out_tag
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
            "lg %r1, 16(%r5)",
            "larl %r14, 2f",
            "stmg %r10, %r11, 0(%r2)",
            "stmg %r14, %r15, 16(%r2)",
            "lg %r15, 24(%r5)",
            "br %r1",
            "2:",
            "lmg %r10, %r11, 0(%r5)";
            inlateout("r5") to => _,
            inlateout("r2") from => _,
            inlateout("r3") word => out,
            inlateout("r4") tag => out_tag
        );
    }
    Words { word: out, tag: out_tag }
}

/// The stack pointer here.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("lgr {}, %r15", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: goes on in `$to`, which finds the return address of the
/// call as its third argument.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            "lgr %r4, %r14",
            "jg {to}",
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
    // SAFETY: reads the thread pointer, in two halves, and one entry of the offset table.
    unsafe {
        asm!(
            "ear {words}, %a0",
            "sllg {words}, {words}, 32",
            "ear {words}, %a1",
            "larl {offset}, siding_0_1_thread_words@INDNTPOFF",
            "ag {words}, 0({offset})",
            words = out(reg) words,
            offset = out(reg_addr) _,
            options(pure, readonly, nostack),
        );
    }
    words
}

/// Asks valgrind for something (`valgrind.h`, "client requests"); 0 where it does not run us:
/// there the instructions do nothing.
pub(crate) fn client_request(request: &[usize; 6]) -> usize {
    let answer;
    // SAFETY: loads registers with what they hold.
    unsafe {
        asm!(
            "lr %r15, %r15",
            "lr %r1, %r1",
            "lr %r2, %r2",
            "lr %r3, %r3",
            "lr %r2, %r2",
            in("r2") request,
            inlateout("r3") 0_usize => answer,
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
        asm!("pfd 1, 0({})", in(reg_addr) address, options(readonly, nostack, preserves_flags));
    }
}

/// fpc: masks and rounding modes, and with them, as in MXCSR, the exception flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    fpc: u32,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let fpc;
        // SAFETY: reads a register.
        unsafe { asm!("efpc {}", out(reg) fpc, options(nomem, nostack, preserves_flags)) };
        FpControl { fpc }
    }

    #[inline]
    pub(crate) fn write(&self) {
        // SAFETY: the word comes from `read`, so it is a valid one.
        unsafe { asm!("sfpc {}", in(reg) self.fpc, options(nostack)) };
    }
}
