//! Wait contexts.

use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use super::libcrypto::{self, Reason};
use super::{AsyncWaitCtx, Data, FAILED, OK, guarded, put};
use crate::job::handle;
use crate::job::{Callback, CallbackFn, CleanupFn, Key, Standing, Status, WaitCtx};
use crate::sys::fd::AsyncFd;

/// A context borrowed from C for one call.
struct Borrowed(ManuallyDrop<WaitCtx>);

impl Borrowed {
    /// # Safety
    /// `ctx` is NULL, or from `ASYNC_WAIT_CTX_new` and not freed.
    unsafe fn from(ctx: *mut AsyncWaitCtx) -> Option<Self> {
        // SAFETY: by this function's contract; the handle is C's and is not dropped.
        (!ctx.is_null())
            .then(|| Borrowed(ManuallyDrop::new(unsafe { WaitCtx::from_ptr(ctx.cast()) })))
    }
}

impl Deref for Borrowed {
    type Target = WaitCtx;
    fn deref(&self) -> &WaitCtx {
        &self.0
    }
}

/// `ASYNC_WAIT_CTX_new`.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_WAIT_CTX_new() -> *mut AsyncWaitCtx {
    libcrypto::look();
    guarded(ptr::null_mut(), || match WaitCtx::try_new() {
        Ok(ctx) => ManuallyDrop::new(ctx).as_ptr().cast(),
        Err(_) => {
            libcrypto::raise(Reason::MallocFailure);
            ptr::null_mut()
        }
    })
}

/// `ASYNC_WAIT_CTX_free`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_free(ctx: *mut AsyncWaitCtx) {
    // SAFETY: by this function's contract.
    let Some(borrowed) = (unsafe { Borrowed::from(ctx) }) else { return };
    guarded((), || {
        let owned = ManuallyDrop::into_inner(borrowed.0);
        if owned.is_kept() {
            owned.set_callback(None); // Its argument may go now.
            return;
        }
        if owned.is_shared() {
            handle::forget_wait_ctx(ctx.cast());
        }
        owned.shut();
    });
}

/// `ASYNC_WAIT_CTX_set_wait_fd`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_set_wait_fd(
    ctx: *mut AsyncWaitCtx,
    key: Data,
    fd: AsyncFd,
    custom_data: Data,
    cleanup: Option<CleanupFn>,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    // SAFETY: by this function's contract, `cleanup` may be called with these arguments.
    match unsafe { ctx.set_wait_fd_c(Key::from_ptr(key), fd, custom_data, cleanup) } {
        Ok(()) => OK,
        Err(_) => {
            libcrypto::raise(Reason::MallocFailure);
            FAILED
        }
    }
}

/// `ASYNC_WAIT_CTX_get_fd`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_get_fd(
    ctx: *mut AsyncWaitCtx,
    key: Data,
    fd: *mut AsyncFd,
    custom_data: *mut Data,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    let Some((found, data)) = ctx.fd_and_data(Key::from_ptr(key)) else { return FAILED };
    // SAFETY: NULL or writable.
    unsafe { put(fd, found) };
    // SAFETY: NULL or writable.
    unsafe { put(custom_data, data) };
    OK
}

/// Writes descriptors, one after the other, to an array that may be NULL; counts them.
struct Output {
    array: *mut AsyncFd,
    count: usize,
}

impl Output {
    /// # Safety
    /// The array is NULL or has room for everything that is added.
    unsafe fn add(&mut self, fd: AsyncFd) {
        if !self.array.is_null() {
            // SAFETY: there is room, by this function's contract.
            let place = unsafe { self.array.add(self.count) };
            // SAFETY: as above.
            unsafe { place.write(fd) };
        }
        self.count += 1;
    }
}

/// `ASYNC_WAIT_CTX_get_all_fds`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_get_all_fds(
    ctx: *mut AsyncWaitCtx,
    fd: *mut AsyncFd,
    numfds: *mut usize,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    let mut all = Output { array: fd, count: 0 };
    ctx.visit(|standing, fd| {
        if standing != Standing::Deleted {
            // SAFETY: the caller has asked for the count first.
            unsafe { all.add(fd) };
        }
    });
    // SAFETY: NULL or writable.
    unsafe { put(numfds, all.count) };
    OK
}

/// `ASYNC_WAIT_CTX_get_changed_fds`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_get_changed_fds(
    ctx: *mut AsyncWaitCtx,
    addfd: *mut AsyncFd,
    numaddfds: *mut usize,
    delfd: *mut AsyncFd,
    numdelfds: *mut usize,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    let mut added = Output { array: addfd, count: 0 };
    let mut deleted = Output { array: delfd, count: 0 };
    ctx.visit(|standing, fd| match standing {
        // SAFETY: the caller has asked for the count first.
        Standing::Added => unsafe { added.add(fd) },
        // SAFETY: the caller has asked for the count first.
        Standing::Deleted => unsafe { deleted.add(fd) },
        _ => {}
    });
    // SAFETY: NULL or writable.
    unsafe { put(numaddfds, added.count) };
    // SAFETY: NULL or writable.
    unsafe { put(numdelfds, deleted.count) };
    OK
}

/// `ASYNC_WAIT_CTX_clear_fd`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_clear_fd(ctx: *mut AsyncWaitCtx, key: Data) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    c_int::from(ctx.clear_fd(Key::from_ptr(key)))
}

/// `ASYNC_WAIT_CTX_set_callback`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_set_callback(
    ctx: *mut AsyncWaitCtx,
    callback: Option<CallbackFn>,
    callback_arg: Data,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    // SAFETY: by this function's contract, it may be called with this argument.
    ctx.set_callback(callback.map(|callback| unsafe { Callback::from_c(callback, callback_arg) }));
    OK
}

/// `ASYNC_WAIT_CTX_get_callback`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_get_callback(
    ctx: *mut AsyncWaitCtx,
    callback: *mut Option<CallbackFn>,
    callback_arg: *mut Data,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    let Some((function, arg)) = ctx.callback_c() else { return FAILED };
    // SAFETY: NULL or writable.
    unsafe { put(callback, Some(function)) };
    // SAFETY: NULL or writable.
    unsafe { put(callback_arg, arg) };
    OK
}

/// `ASYNC_WAIT_CTX_set_status`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_set_status(ctx: *mut AsyncWaitCtx, status: c_int) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    ctx.set_status(Status(status));
    OK
}

/// `ASYNC_WAIT_CTX_get_status`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_WAIT_CTX_get_status(ctx: *mut AsyncWaitCtx) -> c_int {
    // SAFETY: by this function's contract.
    let Some(ctx) = (unsafe { Borrowed::from(ctx) }) else { return FAILED };
    ctx.status().0
}
