//! What a device has to say that it is done: an event object.

use std::ptr;

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, GetProcessHandleCount, ResetEvent, SetEvent,
    WaitForSingleObject,
};

/// `OSSL_ASYNC_FD`: the value of a `HANDLE`.
pub type Fd = isize;

pub fn readable(fd: Fd) -> bool {
    // SAFETY: does not wait; what is no handle is an error.
    unsafe { WaitForSingleObject(fd as HANDLE, 0) == WAIT_OBJECT_0 }
}

/// Threads of the system's may have a part in it.
pub fn becomes_readable(fd: Fd) -> bool {
    // SAFETY: what is no handle is an error.
    unsafe { WaitForSingleObject(fd as HANDLE, 60_000) == WAIT_OBJECT_0 }
}

pub fn eventfd() -> Fd {
    let (manual, unset) = (1, 0);
    // SAFETY: neither attributes nor a name.
    let event = unsafe { CreateEventW(ptr::null(), manual, unset, ptr::null()) };
    assert!(!event.is_null());
    event as Fd
}

pub fn signal(fd: Fd) {
    // SAFETY: an event object.
    assert_ne!(unsafe { SetEvent(fd as HANDLE) }, 0);
}

pub fn drain(fd: Fd) {
    // SAFETY: an event object.
    assert_ne!(unsafe { ResetEvent(fd as HANDLE) }, 0);
}

/// How many handles this process has.
pub fn open() -> usize {
    let mut count = 0;
    // SAFETY: no preconditions.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: this process, and a place for the number.
    assert_ne!(unsafe { GetProcessHandleCount(this, &mut count) }, 0);
    count as usize
}

pub fn close(fd: Fd) {
    // SAFETY: nobody uses it any more.
    assert_ne!(unsafe { CloseHandle(fd as HANDLE) }, 0);
}
