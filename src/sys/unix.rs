//! What all kinds of Unix have in common.

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::system;

/// Thread-locals end in the reverse order of their beginning, so each can tell for those that
/// are older.
#[inline(always)]
pub(crate) fn thread_is_ending() -> bool {
    false
}

pub(super) fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

pub(super) fn check(rc: c_int) -> io::Result<()> {
    if rc == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) type Errno = c_int;

pub(crate) fn errno() -> Errno {
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    let location = unsafe { system::errno_location() };
    // SAFETY: as above.
    unsafe { location.read() }
}

pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    let location = unsafe { system::errno_location() };
    // SAFETY: as above.
    unsafe { location.write(errno) };
}

/// There is none but `errno`, which only calls that fail change.
#[cfg(feature = "capi")]
#[inline(always)]
pub(crate) fn keep_last_error<T>(f: impl FnOnce() -> T) -> T {
    f()
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
