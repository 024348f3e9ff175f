//! Waiting for objects of the kernel, by the threads that Windows has for that.

use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::Arc;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD,
    WT_EXECUTEONLYONCE, WaitForSingleObject,
};

use super::fd::AsyncFd;
use super::os::check;

/// Whether `handle` is set; an error if it cannot be waited for.
pub(crate) fn is_set(handle: AsyncFd) -> io::Result<bool> {
    let handle = handle as HANDLE;
    if handle == INVALID_HANDLE_VALUE {
        // To Windows this is the present process.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: does not wait; what is no handle is an error.
    match unsafe { WaitForSingleObject(handle, 0) } {
        WAIT_OBJECT_0 => Ok(true),
        WAIT_TIMEOUT => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Calls `tell`, from a thread of the system's, once for each of some handles that is set; until
/// it is dropped.
pub(crate) struct Watch<F> {
    waits: Vec<HANDLE>,
    tell: Arc<F>,
}

impl<F: Fn() + Send + Sync + 'static> Watch<F> {
    /// The handles must stay open as long as this.
    pub(crate) fn new(handles: &[AsyncFd], tell: F) -> io::Result<Self> {
        let mut watch = Watch { waits: Vec::new(), tell: Arc::new(tell) };
        handles.iter().try_for_each(|handle| watch.add(*handle as HANDLE))?;
        Ok(watch)
    }

    fn add(&mut self, handle: HANDLE) -> io::Result<()> {
        let (mut wait, tell) = (ptr::null_mut(), Arc::as_ptr(&self.tell).cast());
        let how = WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD;
        // SAFETY: `call` gets what it casts to, which stays until the wait has ended.
        check(unsafe {
            RegisterWaitForSingleObject(&mut wait, handle, Some(call::<F>), tell, INFINITE, how)
        })?;
        self.waits.push(wait);
        Ok(())
    }
}

unsafe extern "system" fn call<F: Fn()>(tell: *mut c_void, _: bool) {
    // SAFETY: the closure of a `Watch` that is there.
    let tell = unsafe { &*tell.cast_const().cast::<F>() };
    tell();
}

impl<F> Drop for Watch<F> {
    fn drop(&mut self) {
        for wait in self.waits.drain(..) {
            // Returns when nobody is, or ever will be, inside of `call`.
            // SAFETY: ended once.
            unsafe { UnregisterWaitEx(wait, INVALID_HANDLE_VALUE) };
        }
    }
}
