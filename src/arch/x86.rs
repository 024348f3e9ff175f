//! x86 with 32 bits: the inlined switch. What differs from x86_64, and the registers at a
//! landing, are at the head of `asm/x86.S`.

use core::arch::asm;

pub(crate) use super::sse::{FpControl, prefetch};
use super::{Landed, Link, Word, Words};

/// i386 psABI 2.2.2: the end of the argument area is 16-byte aligned before a call.
pub(crate) const STACK_ALIGN: usize = 16;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 16;

/// A C function returns [`Words`] in memory, as every structure.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = false;

// Every register except esp, ebp and esi is declared clobbered, so the compiler keeps what is
// live, and only that, on the stack. LLVM does not let ebp and esi be named: they travel in
// the record and are reloaded after landing, off the critical path. The code does not know its
// own address: a call of the next instruction tells, which processors do not take for a call
// that will return. (In AT&T's syntax: in the other LLVM does not subtract labels.)
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            "call 3f",
            "3:",
            "pop %edi",
            "lea 2f - 3b(%edi), %edi",
            $($line,)+
            $($operand)+,
            lateout("edi") _,
            clobber_abi("cdecl"),
            options(att_syntax),
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
            "mov %esi, 16(%ecx)",
            "mov %ebp, 20(%ecx)",
            "mov %edi, 24(%ecx)",
            "mov %esp, 28(%ecx)",
            "mov 12(%ecx), %esp",
            "jmp *8(%ecx)",
            ".p2align 4",
            "2:",
            "endbr32",
            "mov 16(%ecx), %esi",
            "mov 20(%ecx), %ebp";
            inlateout("ecx") link => came_back,
            inlateout("eax") word => out,
            inlateout("edx") tag => out_tag,
            lateout("ebx") _
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
            "mov %esi, 0(%ecx)",
            "mov %ebp, 4(%ecx)",
            "mov %edi, 8(%ecx)",
            "mov %esp, 12(%ecx)",
            "mov 28(%ecx), %esp",
            "jmp *24(%ecx)",
            ".p2align 4",
            "2:",
            "endbr32",
            "mov 0(%ecx), %esi",
            "mov 4(%ecx), %ebp";
            inlateout("ecx") link => _,
            inlateout("eax") word => out,
            inlateout("edx") tag => out_tag,
            lateout("ebx") _
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
            "mov %esi, 0(%ebx)",
            "mov %ebp, 4(%ebx)",
            "mov %edi, 8(%ebx)",
            "mov %esp, 12(%ebx)",
            "mov 12(%ecx), %esp",
            "jmp *8(%ecx)",
            ".p2align 4",
            "2:",
            "endbr32",
            "mov 0(%ecx), %esi",
            "mov 4(%ecx), %ebp";
            inlateout("ecx") to => _,
            inlateout("ebx") from => _,
            inlateout("eax") word => out,
            inlateout("edx") tag => out_tag
        );
    }
    Words { word: out, tag: out_tag }
}

/// The stack pointer here.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, esp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: calls `$to`, which finds the return address of the call as
/// its third argument. (Arguments lie on the caller's stack, where there is no room for a third.)
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "endbr32",
            "push [esp]",
            ".cfi_adjust_cfa_offset 4",
            "push [esp + 12]",
            ".cfi_adjust_cfa_offset 4",
            "push [esp + 12]",
            ".cfi_adjust_cfa_offset 4",
            "call {to}",
            "add esp, 12",
            ".cfi_adjust_cfa_offset -12",
            "ret",
            ".cfi_endproc",
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
            "call 3f",
            "3:",
            "pop {0}",
            "add $_GLOBAL_OFFSET_TABLE_ + (. - 3b), {0}",
            "mov siding_0_1_thread_words@GOTNTPOFF({0}), {0}",
            "add %gs:0, {0}",
            out(reg) words,
            options(pure, readonly, att_syntax),
        );
    }
    words
}

/// Asks valgrind for something (`valgrind.h`, "client requests"); 0 where it does not run us:
/// there the instructions do nothing.
pub(crate) fn client_request(request: &[usize; 6]) -> usize {
    let answer;
    // SAFETY: turns a register by twice its width, and exchanges one with itself.
    unsafe {
        asm!(
            "rol edi, 3",
            "rol edi, 13",
            "rol edi, 29",
            "rol edi, 19",
            "xchg ebx, ebx",
            in("eax") request,
            inlateout("edx") 0_usize => answer,
            options(nostack),
        );
    }
    answer
}
