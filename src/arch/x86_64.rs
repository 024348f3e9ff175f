//! x86_64: the inlined switch. The picture of the link and the registers at a landing
//! are at the head of `asm/x86_64.S`.

use core::arch::asm;

pub(crate) use super::sse::{FpControl, prefetch};
use super::{Landed, Link, Word, Words};

/// psABI 3.2.2: the end of the argument area is 16-byte aligned before a call.
pub(crate) const STACK_ALIGN: usize = 16;

/// Where the outer record is, in the assembly here and there.
pub(crate) const OUTER: usize = 32;

/// A C function returns [`Words`] in two registers.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = true;

// Windows notes in the thread's block which stack it is on: each side has these words
// on its own stack meanwhile, in an order that counts: see above the stubs.
#[cfg(windows)]
macro_rules! leave {
    () => {
        "push qword ptr gs:[0]
        push qword ptr gs:[0x08]
        push qword ptr gs:[0x1478]
        push qword ptr gs:[0x1748]
        push qword ptr gs:[0x10]"
    };
}
#[cfg(windows)]
macro_rules! arrive {
    () => {
        "pop qword ptr gs:[0x10]
        pop qword ptr gs:[0x1748]
        pop qword ptr gs:[0x1478]
        pop qword ptr gs:[0x08]
        pop qword ptr gs:[0]"
    };
}
#[cfg(not(windows))]
macro_rules! leave {
    () => {
        ""
    };
}
#[cfg(not(windows))]
macro_rules! arrive {
    () => {
        ""
    };
}

// Every register except rsp, rbp and rbx is declared clobbered (but APX's, see `build.rs`), so the
// compiler keeps what is live, and only that, on the stack. LLVM does not let rbp and rbx be named:
// they travel in the record and are reloaded after landing, off the critical path.
macro_rules! switch {
    ($($line:literal),+ ; $($operand:tt)+) => {
        asm!(
            leave!(),
            $($line,)+
            arrive!(),
            $($operand)+,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
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
            "lea rax, [rip + 2f]",
            "mov [rdx + 32], rbx",
            "mov [rdx + 40], rbp",
            "mov [rdx + 48], rax",
            "mov [rdx + 56], rsp",
            "mov rsp, [rdx + 24]",
            "jmp [rdx + 16]",
            ".p2align 4",
            "2:",
            "endbr64",
            "mov rbx, [rdx + 32]",
            "mov rbp, [rdx + 40]";
            inlateout("rdx") link => came_back,
            inlateout("rdi") word => out,
            inlateout("rsi") tag => out_tag,
            lateout("rax") _
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
            "lea rax, [rip + 2f]",
            "mov [rdx + 0], rbx",
            "mov [rdx + 8], rbp",
            "mov [rdx + 16], rax",
            "mov [rdx + 24], rsp",
            "mov rsp, [rdx + 56]",
            "jmp [rdx + 48]",
            ".p2align 4",
            "2:",
            "endbr64",
            "mov rbx, [rdx + 0]",
            "mov rbp, [rdx + 8]";
            inlateout("rdx") link => _,
            inlateout("rdi") word => out,
            inlateout("rsi") tag => out_tag,
            lateout("rax") _
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
            "lea rax, [rip + 2f]",
            "mov [rcx + 0], rbx",
            "mov [rcx + 8], rbp",
            "mov [rcx + 16], rax",
            "mov [rcx + 24], rsp",
            "mov rsp, [rdx + 24]",
            "jmp [rdx + 16]",
            ".p2align 4",
            "2:",
            "endbr64",
            "mov rbx, [rdx + 0]",
            "mov rbp, [rdx + 8]";
            inlateout("rdx") to => _,
            inlateout("rcx") from => _,
            inlateout("rdi") word => out,
            inlateout("rsi") tag => out_tag,
            lateout("rax") _
        );
    }
    Words { word: out, tag: out_tag }
}

/// The stack pointer here.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The body of a naked function: goes on in `$to`, which finds the return address of the
/// call as its third argument.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        core::arch::naked_asm!(
            "endbr64",
            $crate::arch::imp::pass_caller!(),
            "jmp {to}",
            to = sym $to,
        )
    };
}
/// The caller's address becomes the third argument.
#[cfg(all(feature = "capi", not(windows)))]
#[allow(unused_macros, reason = "the ABI's own")]
macro_rules! pass_caller {
    () => {
        "mov rdx, [rsp]"
    };
}
#[cfg(all(feature = "capi", windows))]
#[allow(unused_macros, reason = "the ABI's own")]
macro_rules! pass_caller {
    () => {
        "mov r8, [rsp]"
    };
}
#[cfg(feature = "capi")]
#[allow(unused_imports, reason = "the ABI's own")]
pub(crate) use pass_caller;
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
            "mov {0}, [rip + siding_0_1_thread_words@GOTTPOFF]",
            "add {0}, fs:0",
            out(reg) words,
            options(pure, readonly, nostack),
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
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request,
            inlateout("rdx") 0_usize => answer,
            options(nostack),
        );
    }
    answer
}
