//! The kernel boundary: every call of libc, memmap2 and windows-sys, made safe; the heap's
//! refusals; and panics that must go no further.
//! No policy, no retries beyond EINTR.
//!
//! # Safety
//!
//! Each function checks or owns what the system call needs; errors come back as
//! [`std::io::Error`].
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

mod advice;
#[cfg(feature = "capi")]
mod cxx;
#[cfg(siding_faults)]
pub mod fault;
#[cfg(not(siding_faults))]
mod fault;
#[cfg_attr(windows, path = "fd_windows.rs")]
pub(crate) mod fd;
#[cfg_attr(miri, path = "memory_miri.rs")]
#[cfg_attr(windows, path = "memory_windows.rs")]
mod memory;
#[cfg(feature = "capi")]
#[cfg_attr(target_vendor = "apple", path = "objects_macho.rs")]
#[cfg_attr(windows, path = "objects_windows.rs")]
mod objects;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;
mod panics;
#[cfg_attr(windows, path = "signals_windows.rs")]
mod signals;
#[cfg(feature = "capi")]
#[cfg_attr(windows, path = "symbols_windows.rs")]
mod symbols;
#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "android", windows)), path = "bsd.rs")]
#[cfg(not(windows))]
mod system;
mod try_box;
#[cfg(all(feature = "capi", windows))]
pub(crate) mod watch;
#[cfg(windows)]
use os as system;

pub(crate) use advice::Advice;
#[cfg(feature = "capi")]
pub(crate) use cxx::{CxxGlobals, exchange_cxx_globals, has_cxx_globals};
pub(crate) use memory::{Mapping, lowest_resident};
#[cfg(feature = "capi")]
pub(crate) use objects::{is_symbolic, loads};
pub(crate) use panics::{FirstPanic, contain};
pub(crate) use signals::{ensure_alt_stack, look_at_faults, write_error};
#[cfg(feature = "capi")]
pub(crate) use symbols::{file_of, is_bound_to_us, symbol, symbol_of};

#[cfg(feature = "capi")]
pub(crate) use os::{Errno, keep_last_error};
pub(crate) use os::{at_fork, errno, set_errno, thread_is_ending};
pub(crate) use system::{Event, EventFd, max_map_count, thread_number};
pub(crate) use try_box::try_box;

/// What `ask` says, which is never zero and always the same. Threads may ask at the same
/// time: there is no lock that the child of a fork could find taken.
pub(crate) fn asked_once(answer: &AtomicUsize, ask: impl FnOnce() -> usize) -> usize {
    match answer.load(Ordering::Relaxed) {
        0 => {
            let new = ask();
            answer.store(new, Ordering::Relaxed);
            new
        }
        known => known,
    }
}

/// Bytes in a page.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    asked_once(&SIZE, os::page_size)
}

/// The least stack on which the kernel can deliver a signal, in bytes: large where
/// AVX-512, AMX or SVE state goes into the frame.
pub(crate) fn signal_frame_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    asked_once(&SIZE, system::min_signal_stack)
}

/// Whether a variable of the environment is 1, unless the program has privileges that
/// whoever has set it may lack.
pub(crate) fn environment_says(name: &str) -> bool {
    !system::is_privileged() && std::env::var_os(name).is_some_and(|value| value == "1")
}

/// Whether the kernel has given this thread a hardware shadow stack. Asked only on riscv64:
/// elsewhere the processor itself can be asked (`arch`), which no filter of system calls forbids.
/// Asked once: threads inherit it, and a program has it from its start or not at all.
pub(crate) fn shadow_stack_active() -> bool {
    static ANSWER: AtomicUsize = AtomicUsize::new(0);
    const NO: usize = 1;
    if fault::check(fault::Kind::ShadowStack).is_err() {
        return true;
    }
    cfg!(all(target_arch = "riscv64", not(miri)))
        && asked_once(&ANSWER, || NO + usize::from(system::ask_for_shadow_stack())) != NO
}

/// Runs `f` and puts back the `errno` of before.
pub(crate) fn keep_errno<T>(f: impl FnOnce() -> T) -> T {
    let before = errno();
    let value = f();
    set_errno(before);
    value
}

/// How often this process has been forked off, counted in the child: 0 in a process that
/// never was. Differs between a parent and its child.
pub(crate) fn fork_generation() -> usize {
    static FORKS: AtomicUsize = AtomicUsize::new(0);
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    extern "C" fn nothing() {}
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    at_fork(&REGISTERED, nothing, nothing, in_child);
    FORKS.load(Ordering::Relaxed)
}
