//! Registers and frame layout: the only module that knows an architecture.
//!
//! A paused context is a *record* of four words; a job's record and its resumer's
//! make up a [`Link`], one cache line. Everything else a switch must keep is kept by
//! the compiler, which sees the other registers clobbered, or by the stub in
//! `asm/<arch>.S`, on its own stack. The stub fills the same record, so inlined and
//! out-of-line switches resume each other.
//!
//! # The contract
//!
//! Each `src/arch/<arch>.rs` provides the items checked by `contract` below. A landing
//! is always reached by a jump that the return predictor does not see, with the word,
//! the tag and the link of the job on the inner side in fixed registers; the head of
//! `asm/x86_64.S` names them, the other architectures state their differences.
//!
//! # Safety
//!
//! `asm!` is confined to this module. It neither allocates nor panics, and a switch touches no
//! thread-local storage; what callers must guarantee is written at each function.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ops::Range;

/// Functions that the assembly calls, or has: by the System V ABI also on Windows, whose own
/// passes other registers and wants more of them kept. Takes a type, items of an `extern`
/// block, or a function.
/// `C-unwind`: a foreign forced unwind (`pthread_exit`) may pass through. Without `std` there is
/// none, nor always a personality, which the name alone would have linked.
#[cfg(all(not(windows), feature = "std"))]
macro_rules! asm_abi {
    ($($tokens:tt)*) => { $crate::arch::with_abi! { "C-unwind"; $($tokens)* } };
}
#[cfg(all(not(windows), not(feature = "std")))]
macro_rules! asm_abi {
    ($($tokens:tt)*) => { $crate::arch::with_abi! { "C"; $($tokens)* } };
}
#[cfg(windows)]
macro_rules! asm_abi {
    ($($tokens:tt)*) => { $crate::arch::with_abi! { "sysv64-unwind"; $($tokens)* } };
}
macro_rules! with_abi {
    ($abi:tt; unsafe fn($($argument:ty),*) -> $result:ty) => {
        unsafe extern $abi fn($($argument),*) -> $result
    };
    ($abi:tt; extern { $($items:tt)* }) => { unsafe extern $abi { $($items)* } };
    ($abi:tt; $(#[$attribute:meta])* unsafe fn $($rest:tt)*) => {
        $(#[$attribute])* unsafe extern $abi fn $($rest)*
    };
}
pub(crate) use {asm_abi, with_abi};

// `build.rs` sets `siding_ucontext` where there is no assembly, or turns the target away with
// a sentence.
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "x86_64"), path = "x86_64.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "aarch64"), path = "aarch64.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "riscv64"), path = "riscv64.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "x86"), path = "x86.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "s390x"), path = "s390x.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "arm"), path = "arm.rs")]
#[cfg_attr(all(not(any(miri, siding_ucontext)), target_arch = "powerpc64"), path = "powerpc64.rs")]
#[cfg_attr(all(not(miri), siding_ucontext), path = "ucontext.rs")]
#[cfg_attr(miri, path = "miri.rs")]
pub(crate) mod imp;

#[cfg_attr(siding_outline, path = "outline.rs")]
#[cfg_attr(not(siding_outline), path = "inline.rs")]
mod switch;

mod shadow_stack;
#[cfg(all(not(any(miri, siding_ucontext)), any(target_arch = "x86", target_arch = "x86_64")))]
mod sse;
pub(crate) mod stub;

// Only Linux's thread-locals are named in assembly.
#[cfg(all(feature = "capi", target_os = "linux"))]
use imp as words;
#[cfg(all(feature = "capi", not(target_os = "linux")))]
#[cfg_attr(windows, path = "words_windows.rs")]
mod words;

#[cfg(feature = "capi")]
pub(crate) use imp::with_caller;
pub(crate) use imp::{FpControl, STACK_ALIGN, client_request, prefetch, stack_pointer};
pub(crate) use shadow_stack::shadow_stack_active;
pub(crate) use stub::{Sanitizer, prepare, sanitizer};
pub(crate) use switch::{hand_over, pause, resume};
#[cfg(feature = "capi")]
pub(crate) use words::thread_words;

/// What crosses a switch in a register: any value up to the size of a pointer, padding
/// and provenance included.
pub(crate) type Word = MaybeUninit<*mut ()>;

/// Where a paused side of a switch goes on. Field order is part of the format:
/// `fp` and `pc` as in a stack frame, so that frame-pointer chains run through it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// The register LLVM reserves besides the frame pointer. In a fresh record, the entry.
    pub(crate) reserved: usize,
    /// In a fresh record, for Windows, the bottom of the stack.
    pub(crate) fp: usize,
    pub(crate) pc: usize,
    pub(crate) sp: usize,
}

/// A job's record and its resumer's, in one cache line.
#[repr(C, align(64))]
pub(crate) struct Link {
    pub(crate) inner: Record,
    pub(crate) outer: Record,
}

/// What a resumer finds when somebody pauses or finishes: not necessarily the job it
/// resumed, because jobs may hand over to each other.
pub(crate) struct Landed {
    pub(crate) link: *mut Link,
    pub(crate) word: Word,
    pub(crate) tag: usize,
}

/// Two words as a C function returns them: in registers, or on some targets in memory.
#[repr(C)]
pub(crate) struct Words {
    pub(crate) word: Word,
    pub(crate) tag: usize,
}

/// What a fresh job runs, called by the trampoline. Its result goes to the resumer.
pub(crate) type Entry = asm_abi!(unsafe fn(Word, usize, *mut Link) -> Words);

/// The contract, typed: a backend that lacks an item or changes a signature does not compile.
mod contract {
    use super::*;

    const _: usize = STACK_ALIGN;
    const _: unsafe fn(*mut Link, Word, usize) -> Landed = imp::resume;
    const _: unsafe fn(*mut Link, Word, usize) -> Words = imp::pause;
    const _: unsafe fn(*mut Link, *mut Link, Word, usize) -> Words = imp::hand_over;
    const _: fn() -> usize = stack_pointer;
    const _: fn(*const u8) = prefetch;
    const _: fn(&[usize; 6]) -> usize = client_request;
    #[cfg(feature = "capi")]
    const _: fn() -> *mut [usize; 2] = thread_words;
    const _: fn() -> FpControl = FpControl::read;
    const _: fn(&FpControl) = FpControl::write;

    const _: () = assert!(core::mem::offset_of!(Link, outer) == imp::OUTER);
    const _: () = assert!(STACK_ALIGN.is_power_of_two());
}

impl Link {
    pub(crate) const fn new() -> Self {
        const EMPTY: Record = Record { reserved: 0, fp: 0, pc: 0, sp: 0 };
        Link { inner: EMPTY, outer: EMPTY }
    }
}

/// Makes `link` a fresh context that will call `entry` on `stack`, from its end on.
/// `trampoline` is what [`prepare`] returned: kept by the caller, because a function
/// that is inlined elsewhere must not name a hidden symbol.
///
/// # Safety
/// `link` is not running and not paused; `stack` belongs to this context alone, and its end is a
/// multiple of [`STACK_ALIGN`].
#[inline(always)]
pub(crate) unsafe fn arm(link: *mut Link, trampoline: usize, entry: Entry, stack: Range<usize>) {
    // SAFETY: the caller owns the link.
    let inner = unsafe { &mut (*link).inner };
    let fp = if cfg!(windows) { stack.start } else { 0 };
    *inner = Record { reserved: entry as usize, fp, pc: trampoline, sp: stack.end };
}

#[cfg(test)]
mod tests {
    #[test]
    fn symbol_names_carry_the_version() {
        let expected = format!(
            "siding_{}_{}_##name",
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR")
        );
        assert!(include_str!("../../asm/names.h").contains(&expected));
    }
}
