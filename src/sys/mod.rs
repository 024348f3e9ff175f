//! The kernel boundary: every libc and memmap2 call of the library, made safe.
//! No policy, no sizes, no retries beyond EINTR.
//!
//! # Safety
//!
//! Each function checks or owns what the system call needs; errors come back as
//! [`io::Error`].
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(siding_faults)]
pub mod fault;
#[cfg(not(siding_faults))]
mod fault;
#[cfg_attr(miri, path = "memory_miri.rs")]
mod memory;
mod signals;
#[cfg(feature = "capi")]
mod symbols;

pub(crate) use memory::{Advice, Mapping, lowest_resident};
pub(crate) use signals::{ensure_alt_stack, look_at_faults, thread_number, write_error};
#[cfg(feature = "capi")]
pub(crate) use symbols::{
    CxxGlobals, exchange_cxx_globals, file_of, has_cxx_globals, is_bound_to_us, is_symbolic, loads,
    symbol, symbol_of,
};

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
    // SAFETY: sysconf has no preconditions.
    asked_once(&SIZE, || unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

/// The least stack on which the kernel can deliver a signal, in bytes: large where
/// AVX-512, AMX or SVE state goes into the frame.
pub(crate) fn signal_frame_size() -> usize {
    const AT_MINSIGSTKSZ: libc::c_ulong = 51;
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    asked_once(&SIZE, || {
        if cfg!(miri) {
            return libc::MINSIGSTKSZ;
        }
        // SAFETY: getauxval has no preconditions and answers 0 for what it does not know.
        let told = unsafe { libc::getauxval(AT_MINSIGSTKSZ) } as usize;
        told.max(libc::MINSIGSTKSZ)
    })
}

/// Whether a variable of the environment is 1, unless the program has privileges that
/// whoever has set it may lack.
pub(crate) fn environment_says(name: &str) -> bool {
    // SAFETY: getauxval has no preconditions.
    let privileged = !cfg!(miri) && unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    !privileged && std::env::var_os(name).is_some_and(|value| value == "1")
}

/// How many mappings the kernel allows a process (`vm.max_map_count`), if it says.
pub(crate) fn max_map_count() -> Option<usize> {
    if cfg!(miri) {
        return None;
    }
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    text.trim().parse().ok()
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
        && asked_once(&ANSWER, || NO + usize::from(ask_for_shadow_stack())) != NO
}

/// `Documentation/arch/riscv/zicfiss.rst` of the kernel's.
fn ask_for_shadow_stack() -> bool {
    const PR_GET_SHADOW_STACK_STATUS: libc::c_int = 74;
    const PR_SHADOW_STACK_ENABLE: libc::c_ulong = 1;
    let mut status: libc::c_ulong = 0;
    // SAFETY: the kernel writes one word through the pointer, or fails where it does not know
    // the request.
    let rc = unsafe {
        libc::prctl(PR_GET_SHADOW_STACK_STATUS, &raw mut status, 0_usize, 0_usize, 0_usize)
    };
    rc == 0 && status & PR_SHADOW_STACK_ENABLE != 0
}

fn check(rc: libc::c_int) -> io::Result<()> {
    if rc == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A counter that a poller can wait for.
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(fault::Kind::EventFd)?;
        // SAFETY: eventfd has no preconditions.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        check(fd)?;
        // SAFETY: the kernel has just opened it for us alone.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. Async-signal-safe; keeps `errno`.
    pub(crate) fn notify(&self) {
        let one = 1_u64;
        // A full counter (EAGAIN) is readable as well: nothing is lost.
        keep_errno(|| {
            // SAFETY: writes eight bytes from a live integer.
            unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
        });
    }

    /// Makes it unreadable until the next [`notify`](Self::notify).
    pub(crate) fn drain(&self) {
        let mut count = 0_u64;
        keep_errno(|| {
            // SAFETY: reads eight bytes into a live integer; an empty counter is EAGAIN.
            unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
        });
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs `f` and puts back the `errno` of before.
pub(crate) fn keep_errno<T>(f: impl FnOnce() -> T) -> T {
    let before = errno();
    let value = f();
    set_errno(before);
    value
}

pub(crate) fn errno() -> libc::c_int {
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { location.read() }
}

pub(crate) fn set_errno(errno: libc::c_int) {
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { location.write(errno) };
}

/// Has `prepare` called before each fork of this process, and one of the others after it.
/// Threads that find `done` unset at the same time do it twice: a lock would be no better, as
/// a fork may find it taken.
pub(crate) fn at_fork(
    done: &AtomicBool,
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) {
    if cfg!(miri) || done.load(Ordering::Acquire) {
        return;
    }
    // Without memory for the handlers a fork is what it was without them.
    // SAFETY: functions without arguments that live as long as the process.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    done.store(true, Ordering::Release);
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
