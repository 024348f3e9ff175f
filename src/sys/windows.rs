//! What Windows does in ways of its own, or does not: the functions of `unix.rs` and
//! `linux.rs`.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::windows::io::{AsRawHandle, AsSocket, BorrowedSocket, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use windows_sys::Win32::Foundation::{GetLastError, SetLastError};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentThreadId, ResetEvent, SetEvent, TLS_OUT_OF_INDEXES, TlsAlloc,
    TlsGetValue, TlsSetValue,
};

use super::fault::{self, Kind};
use super::fd::AsyncFd;
use super::keep_errno;

pub(super) fn page_size() -> usize {
    let mut info = MaybeUninit::<SYSTEM_INFO>::zeroed();
    // SAFETY: room for the answer.
    unsafe { GetSystemInfo(info.as_mut_ptr()) };
    // SAFETY: filled.
    unsafe { info.assume_init() }.dwPageSize as usize
}

/// Zero is success to none of these functions.
pub(super) fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The last error of the thread, by which functions of Windows say why they failed, and the
/// `errno` of the C library, whose functions do.
#[derive(Clone, Copy)]
pub(crate) struct Errno {
    last: u32,
    c: c_int,
}

unsafe extern "C" {
    /// Safe: it takes nothing, and its answer is this thread's own for as long as the thread.
    safe fn _errno() -> *mut c_int;
}

pub(crate) fn errno() -> Errno {
    // SAFETY: no preconditions.
    let last = unsafe { GetLastError() };
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    Errno { last, c: unsafe { _errno().read() } }
}

pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: the location of this thread's errno is valid for as long as the thread.
    unsafe { _errno().write(errno.c) };
    // SAFETY: no preconditions.
    unsafe { SetLastError(errno.last) };
}

/// Runs `f` for C, and puts back the last error of before, which even looking at a thread-local
/// clears.
#[cfg(feature = "capi")]
pub(crate) fn keep_last_error<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: no preconditions.
    let last = unsafe { GetLastError() };
    let value = f();
    // SAFETY: no preconditions.
    unsafe { SetLastError(last) };
    value
}

/// Nothing forks.
pub(crate) fn at_fork(_: &AtomicBool, _: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

/// Whether destructors of this thread's thread-locals may have run, in whatever order: Windows
/// knows none.
pub(crate) fn thread_is_ending() -> bool {
    // SAFETY: reads a static; what is referred to is not left out by the linker.
    unsafe { ptr::read_volatile(&raw const AT_END) };
    let slot = *ENDING.get_or_init(|| {
        // SAFETY: no preconditions.
        let slot = unsafe { TlsAlloc() };
        assert_ne!(slot, TLS_OUT_OF_INDEXES, "no thread-local storage");
        slot
    });
    // SAFETY: never freed.
    keep_errno(|| !unsafe { TlsGetValue(slot) }.is_null())
}

/// Not a thread-local of Rust's, which would be gone, too.
static ENDING: OnceLock<u32> = OnceLock::new();

/// Called before std's callback, which is in `.CRT$XLB` and runs the destructors.
#[used]
#[unsafe(link_section = ".CRT$XLAS")]
static AT_END: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = at_end;

unsafe extern "system" fn at_end(_: *mut c_void, reason: u32, _: *mut c_void) {
    const PROCESS_DETACH: u32 = 0;
    const THREAD_DETACH: u32 = 3;
    if let (PROCESS_DETACH | THREAD_DETACH, Some(&slot)) = (reason, ENDING.get()) {
        // SAFETY: a slot that is never freed; any value but null will do.
        unsafe { TlsSetValue(slot, ptr::without_provenance(1)) };
    }
}

/// No signals; but exceptions are dispatched on the stack they happen on, with a frame that
/// holds all registers, and the dispatcher wants some more.
pub(super) fn min_signal_stack() -> usize {
    24 << 10
}

/// No file has privileges of its own.
pub(super) fn is_privileged() -> bool {
    false
}

/// Nothing but memory limits the number of mappings.
pub(crate) fn max_map_count() -> Option<usize> {
    Some(usize::MAX)
}

/// Not asked: hardware-enforced stack protection is on only where a program opts in.
pub(super) fn ask_for_shadow_stack() -> bool {
    false
}

pub(crate) fn thread_number() -> usize {
    // SAFETY: no preconditions.
    unsafe { GetCurrentThreadId() as usize }
}

/// Something that a poller can wait for, which means a socket: one that talks to itself. And
/// that C can wait for, which means an event object.
pub(crate) struct EventFd(UdpSocket, Event);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(Kind::EventFd)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(EventFd(socket, Event::new()?))
    }

    /// Makes it readable. Keeps the last error.
    pub(crate) fn notify(&self) {
        // First: `drain` is not called for what cannot be read.
        self.1.notify();
        // A full one is readable as well: nothing is lost.
        let _ = keep_errno(|| self.0.send(&[1]));
    }

    /// Makes it unreadable until the next [`notify`](Self::notify).
    pub(crate) fn drain(&self) {
        keep_errno(|| while self.0.recv(&mut [0; 8]).is_ok() {});
        // Last: what is set afterwards will be readable, too.
        self.1.reset();
    }

    #[cfg(feature = "capi")]
    pub(crate) fn async_fd(&self) -> AsyncFd {
        self.1.async_fd()
    }
}

impl AsSocket for EventFd {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

/// What a wait context can tell of: an event object, set until it is reset.
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(Kind::EventFd)?;
        let (manual, unset) = (1, 0);
        // SAFETY: neither attributes nor a name.
        let handle = unsafe { CreateEventW(ptr::null(), manual, unset, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: made for us alone.
        Ok(Event(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(crate) fn async_fd(&self) -> AsyncFd {
        self.0.as_raw_handle() as AsyncFd
    }

    pub(crate) fn notify(&self) {
        // SAFETY: an event object.
        keep_errno(|| unsafe { SetEvent(self.0.as_raw_handle()) });
    }

    fn reset(&self) {
        // SAFETY: an event object.
        keep_errno(|| unsafe { ResetEvent(self.0.as_raw_handle()) });
    }
}
