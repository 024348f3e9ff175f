//! powerpc64, little endian: the inlined switch. What differs from x86_64, and the registers
//! at a landing, are at the head of `asm/powerpc64.S`.

use core::arch::asm;

use super::{Landed, Link, Word, Words};

/// ELFv2 ABI 2.2.2: sp is a multiple of 16.
pub(crate) const STACK_ALIGN: usize = 16;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 32;

/// A C function returns [`Words`] in two registers.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = true;

// Every register except r1, r2, r13, r30 and r31 is declared clobbered, so the compiler keeps
// what is live, and only that, on the stack. LLVM does not let r2, r30 and r31 be named: r30
// and r31 travel in the record. r2 waits in its doubleword of the frame's header, 24(r1):
// because lr is a clobber, the function around has a frame of its own, also where it calls
// nobody. All three are reloaded after landing, off the critical path.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            $($line,)+
            $($operand)+,
            lateout("r14") _, lateout("r15") _, lateout("r16") _, lateout("r17") _,
            lateout("r18") _, lateout("r19") _, lateout("r20") _, lateout("r21") _,
            lateout("r22") _, lateout("r23") _, lateout("r24") _, lateout("r25") _,
            lateout("r26") _, lateout("r27") _, lateout("r28") _, lateout("r29") _,
            lateout("lr") _, lateout("ctr") _, lateout("cr2") _, lateout("cr3") _,
            lateout("cr4") _,
            lateout("f14") _, lateout("f15") _, lateout("f16") _, lateout("f17") _,
            lateout("f18") _, lateout("f19") _, lateout("f20") _, lateout("f21") _,
            lateout("f22") _, lateout("f23") _, lateout("f24") _, lateout("f25") _,
            lateout("f26") _, lateout("f27") _, lateout("f28") _, lateout("f29") _,
            lateout("f30") _, lateout("f31") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
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
    // switch 4/7: our record is filled, the other one entered; label 3 is where we land.
    // SAFETY: the caller vouches for the record; all registers that are not restored
    // by the landing are clobbers or outputs.
    unsafe {
        switch!(
            "bcl 20, 31, 2f",
            "2:",
            "mflr 11",
            "ld 12, 16(5)",
            "addi 11, 11, 3f - 2b",
            "std 30, 32(5)",
            "std 31, 40(5)",
            "std 11, 48(5)",
            "std 1, 56(5)",
            "std 2, 24(1)",
            "mtctr 12",
            "ld 1, 24(5)",
            "bctr",
            "3:",
            "ld 30, 32(5)",
            "ld 31, 40(5)",
            "ld 2, 24(1)";
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
            "bcl 20, 31, 2f",
            "2:",
            "mflr 11",
            "ld 12, 48(5)",
            "addi 11, 11, 3f - 2b",
            "std 30, 0(5)",
            "std 31, 8(5)",
            "std 11, 16(5)",
            "std 1, 24(5)",
            "std 2, 24(1)",
            "mtctr 12",
            "ld 1, 56(5)",
            "bctr",
            "3:",
            "ld 30, 0(5)",
            "ld 31, 8(5)",
            "ld 2, 24(1)";
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
            "bcl 20, 31, 2f",
            "2:",
            "mflr 11",
            "ld 12, 16(5)",
            "addi 11, 11, 3f - 2b",
            "std 30, 0(6)",
            "std 31, 8(6)",
            "std 11, 16(6)",
            "std 1, 24(6)",
            "std 2, 24(1)",
            "mtctr 12",
            "ld 1, 24(5)",
            "bctr",
            "3:",
            "ld 30, 0(5)",
            "ld 31, 8(5)",
            "ld 2, 24(1)";
            inlateout("r5") to => _,
            inlateout("r6") from => _,
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
    unsafe { asm!("mr {}, 1", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: goes on in `$to`, which finds the return address of the
/// call as its third argument. r2 is made as from any address: what is written here has one
/// entry point, where callers from everywhere arrive.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            "mflr 5",
            "bcl 20, 31, 2f",
            "2:",
            "mflr 12",
            "addis 2, 12, .TOC. - 2b@ha",
            "addi 2, 2, .TOC. - 2b@l",
            "mtlr 5",
            "b {to}",
            to = sym $to,
        )
    };
}
#[cfg(feature = "capi")]
pub(crate) use with_caller;

#[cfg(all(feature = "capi", target_os = "linux"))]
unsafe extern "C" {
    // Safe: it wants nothing, and answers with an address.
    #[link_name = "siding_0_1_find_thread_words"]
    safe fn asm_find_thread_words() -> *mut [usize; 2];
}

/// The two words that this thread has in `asm/macros.h`, zero at first.
#[inline(always)]
#[cfg(all(feature = "capi", target_os = "linux"))]
pub(crate) fn thread_words() -> *mut [usize; 2] {
    asm_find_thread_words()
}

/// As on x86_64. Its last instruction lowers the thread's priority where nobody listens: the
/// one here raises it again.
pub(crate) fn client_request(request: &[usize; 6]) -> usize {
    let answer;
    // SAFETY: turns a register by twice its width, and merges others with themselves.
    unsafe {
        asm!(
            "rotldi 0, 0, 3",
            "rotldi 0, 0, 13",
            "rotldi 0, 0, 61",
            "rotldi 0, 0, 51",
            "or 1, 1, 1",
            "or 2, 2, 2",
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
    // SAFETY: a hint changes no state and never faults.
    unsafe {
        asm!("dcbt 0, {}", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

/// FPSCR: of what it holds, the control bits (rounding modes, enabled exceptions) are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl {
    fpscr: f64,
}

impl FpControl {
    #[inline]
    pub(crate) fn read() -> Self {
        let fpscr;
        // SAFETY: reads a register.
        unsafe { asm!("mffs {}", out(freg) fpscr, options(nomem, nostack, preserves_flags)) };
        FpControl { fpscr }
    }

    #[inline]
    pub(crate) fn write(&self) {
        // SAFETY: the word comes from `read`; of its 16 fields these are the last two, and the
        // one with the decimal rounding mode.
        unsafe {
            asm!("mtfsf 3, {0}", "mtfsf 1, {0}, 0, 1", in(freg) self.fpscr, options(nostack));
        }
    }
}
